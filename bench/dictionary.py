"""A python dict with more entries than fit into memory.

usage: dictionary.py ENTRIES LOOKUPS

Fills it, looks entries up and changes them at random, and goes through all of
it in order. Prints lines "NAME VALUE"; "check" depends on the arguments
alone."""
import sys
import time

nr_entries, nr_lookups = int(sys.argv[1]), int(sys.argv[2])


def number(i):
    """Looks random and is the same everywhere."""
    return (i * 2654435761 + 12345) * 2246822519 >> 7 & 0xffffffff


start = time.monotonic()
words = {f"entry-{number(i):08x}-{i}": [i, number(i)]
         for i in range(nr_entries)}
print("fill", round(time.monotonic() - start, 3))

start = time.monotonic()
check = 0
for k in range(nr_lookups):
    i = number(k * 7 + 1) % nr_entries
    value = words[f"entry-{number(i):08x}-{i}"]
    check = check * 31 + value[1] & 0xffffffffffff
    value[1] ^= k
print("lookup", round((time.monotonic() - start) * 1e6 / nr_lookups, 3))

start = time.monotonic()
for key, value in words.items():
    check = check * 31 + len(key) + value[0] ^ value[1] & 0xffffffffffff
    check &= 0xffffffffffff
print("walk", round(time.monotonic() - start, 3))
print("check", check)
