#!/bin/sh
# The probes for tracers: spillway and its library have those of the manual page,
# with as many arguments, of these types; and in a session each fires exactly as
# often as the report counts what it tells of.
#
#       probes.sh SPILLWAY VERSION LIBRARY PAGE
. "$(dirname "$0")/lib.sh"

library=$3 page=$4

command -v readelf >/dev/null || skip "readelf"
readelf -S "$spillway" | grep -q stapsdt || skip "a build with sys/sdt.h"

# ---- what the files have, and what the page says ----

# "fault 8 8 4 -4 4", sorted: a name and the sizes of its arguments, negative
# where they have a sign.
in_file() {
        readelf -n "$1" | sed -n '/Provider: spillway$/,/Arguments:/{
                s/^ *Name: *//p
                s/^ *Arguments://p
        }' | paste -d ' ' - - |
                sed 's/ \(-\{0,1\}[0-9]*\)@[^ ]*/ \1/g; s/  */ /g; s/ $//' |
                sort -u
}

in_page() {
        sed -n 's/^\.It Fn \([a-z]* "\)/\1/p' "$page" |
                sed 's/"uint64_t [a-z]*"/8/g
                     s/"unsigned [a-z]*"/4/g
                     s/"int [a-z]*"/-4/g' | sort
}

compare "arguments of each" "$(in_page)" "$(in_file "$spillway")" "$spillway"
compare "arguments of each" "$(in_page)" "$(in_file "$library")" "$library"
compare "probes there" 4 "$(in_page | wc -l)" "$page"

# ---- what they see ----

[ "$(id -u)" -eq 0 ] || skip "root, to look"
command -v bpftrace >/dev/null || skip "bpftrace"

# Written once and read twice, 24 MiB in 16: the second time pages leave whose
# slot has them.
cat >"$dir/work.py" <<'END'
blocks = [bytearray(1 << 20) for _ in range(24)]
for n, b in enumerate(blocks):
    for at in range(0, len(b), 4096):
        b[at] = (n + at // 4096) % 251 + 1
for turn in range(2):
    for n, b in enumerate(blocks):
        assert all(b[at] == (n + at // 4096) % 251 + 1
                   for at in range(0, len(b), 4096))
END
run="$spillway run -m 16M --swap zram:64M --report $dir/report"
run="$run -- python3 $dir/work.py"

# look PROGRAM: runs it on a session; what it prints goes to $dir/seen.
look() {
        if ! timeout 60 bpftrace -f json -e "$1" -c "$run" \
                >"$dir/seen" 2>"$dir/err" </dev/null; then
                compare "a tracer" "that runs" "$(tail -n 3 "$dir/err")" \
                        bpftrace
                finish
        fi
}

bpftrace -e 'BEGIN { exit(); }' >/dev/null 2>&1 </dev/null ||
        skip "a kernel that lets bpftrace run"
at="usdt:$spillway:spillway"
look "$at:fault { @fault[arg4, arg3 > 0, arg0] = count(); }
      $at:evict { @evict[arg3, arg0] = count(); @at[arg2 >> 58] = count(); }
      $at:allocate { @allocate[arg2 == 0] = sum(1 << arg1); }
      $at:writeback { @writeback[arg3, arg2 == 0] = sum(arg1); }"
python3 - "$dir/seen" "$dir/report" <<'END' || compare figures "as reported" "not"
import json
import sys

seen = {}
for line in open(sys.argv[1]):
    said = json.loads(line) if line.startswith("{") else {"type": ""}
    if said["type"] in ("map", "stats"):
        seen.update(said["data"])
count = json.load(open(sys.argv[2]))["counters"]

def total(name, *fields):
    """Of the keys that begin with these fields."""
    return sum(n for key, n in seen.get("@" + name, {}).items()
               if key.split(",")[:len(fields)] == [str(f) for f in fields])

def same(what, a, b):
    if a != b or not a:
        print(f"{what}: the probe {a}, the report {b}")
        same.differs = True

same.differs = False
same("faults", total("fault"), count["pgfault"] - count["pgfault_retry"])
same("faults of a known thread", total("fault"),
     sum(total("fault", kind, 1) for kind in range(4)))
# Zeros that a first write meets, too, are of pages never touched.
same("never touched", total("fault", 0) >= count["pgfault_zero"] > 0, True)
same("swapped out", total("fault", 2) >= count["pgmajfault"] > 0, True)
same("evicted", total("evict"), count["pgsteal"])
same("evicted clean", total("evict", 1), count["pgsteal_clean"])
same("of device 0", seen.get("@at"), {"0": count["pgsteal"]})
same("slots for all", total("allocate", 1) >=
     count["pgsteal"] - count["pgsteal_clean"], True)
same("written", total("writeback", 0, 1), count["pswpout"])
# One process has memory that leaves: one space, in both probes alike.
spaces = [{key.split(",")[-1] for key in seen.get("@" + name, {})}
          for name in ("fault", "evict")]
same("spaces", spaces[1] <= spaces[0] and len(spaces[1]), 1)
sys.exit(same.differs)
END

# ---- the examples of the page ----

# Each begins with "bpftrace -e '" and ends with "'".
awk -v dir="$dir" '
        /^\.Bd -literal/ { n++; on = 1; next }
        /^\.Ed/ { on = 0 }
        on { print > (dir "/example." n) }' "$page"
for example in "$dir"/example.*; do
        sed "1s/^bpftrace -e '//; \$s/'\$//; s,usdt:/usr/bin/spillway:,usdt:$spillway:,g" \
                "$example" >"$dir/program"
        look "$(cat "$dir/program")"
        grep -q '"data": {"@' "$dir/seen" ||
                compare "what it prints" "figures" "$(cat "$dir/seen")" \
                        "$(cat "$dir/program")"
done
compare "examples" 3 "$(find "$dir" -name 'example.*' | wc -l)" "$page"

finish
