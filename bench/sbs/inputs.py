"""Inputs of the classic workloads: made once and kept in the cache, the same
on every machine."""
from __future__ import annotations

import os
import pathlib
import random
import subprocess
from collections.abc import Iterator

from .workload import WorkloadError


def words(seed: int, count: int = 20000) -> list[str]:
    """A vocabulary: short words first, as in languages."""
    source = random.Random(seed)
    letters = "eeeetttaaaoooiinnsshhrrddlucmfywgpbvk"
    return ["".join(source.choice(letters)
                    for _ in range(2 + min(8, i.bit_length() // 2)))
            for i in range(count)]


def text(seed: int, size: int) -> Iterator[str]:
    """About `size` characters of text-like lines: few words are frequent,
    most are rare, and phrases come again."""
    source = random.Random(seed)
    vocabulary = words(seed)
    phrases: list[str] = []
    while size > 0:
        line = []
        while len(line) < 9:
            if phrases and source.random() < 0.15:
                line.append(source.choice(phrases))
            else:
                rank = int(len(vocabulary) ** source.random()) - 1
                line.append(vocabulary[rank])
        if len(phrases) < 3000:
            phrases.append(" ".join(line[2:5]))
        yield " ".join(line) + "\n"
        size -= sum(map(len, line)) + len(line)


def records(seed: int, size: int) -> Iterator[str]:
    """Lines with a random key in front, for sorting."""
    source = random.Random(seed)
    vocabulary = words(seed, 500)
    while size > 0:
        line = (f"{source.getrandbits(48):012x} "
                f"{source.choice(vocabulary)} {source.choice(vocabulary)} "
                f"{source.getrandbits(64):016x} {source.choice(vocabulary)}\n")
        yield line
        size -= len(line)


def cached(cache: pathlib.Path, name: str,
           lines: Iterator[str]) -> pathlib.Path:
    """The file of these lines; `name` has to say all they depend on."""
    path = cache / name
    if not path.exists():
        new = cache / f"{name}.{os.getpid()}"
        try:
            with open(new, "w", encoding="ascii") as file:
                file.writelines(lines)
            new.rename(path)
        finally:
            new.unlink(missing_ok=True)
    return path


def generated(cache: pathlib.Path, name: str, *command: str) -> pathlib.Path:
    """The file that a program makes; "FILE" in `command` is its name."""
    path = cache / name
    if not path.exists():
        new = cache / f"{name}.{os.getpid()}"
        try:
            done = subprocess.run(
                [str(new) if word == "FILE" else word for word in command],
                stdin=subprocess.DEVNULL, capture_output=True, text=True,
                check=False)
            if done.returncode:
                raise WorkloadError(f"{command[0]}: {done.stderr.strip()}")
            new.rename(path)
        finally:
            new.unlink(missing_ok=True)
    return path


def warm(path: pathlib.Path) -> None:
    """Reads it once, before a run: its pages are then in memory for every
    kind, and count for us and not for the kernel's cgroup."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
