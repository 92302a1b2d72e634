#!/bin/sh
# Settings from the environment and from a file: which one counts, and what is
# said about those that cannot be.
. "$(dirname "$0")/lib.sh"

conf=$dir/spillway.conf
export SPILLWAY_CONF="$conf"

# A run that is refused says which settings it had got to.
refused_with() {
        refuses 125 "$1" "$spillway" run -- true
}

# file LINE...: what the file says. zram:1 is refused, and names its source.
file() {
        printf '%s\n' "$@" >"$conf"
}
small='a device has at least 1M'

file 'memory = 64M' 'swap = zram:1'
refused_with "$conf:2: --swap zram:1: $small"
SPILLWAY_SWAP='zram:4M;zram:2'
export SPILLWAY_SWAP
refused_with "SPILLWAY_SWAP: --swap zram:2: $small"
refuses 125 "--swap zram:3: $small" "$spillway" run --swap zram:3 -- true
unset SPILLWAY_SWAP

# A budget by any of them is a budget.
none="run: no budget given; add -m SIZE, e.g. -m 512M"
file '# nothing'
refused_with "$none"
for set in SPILLWAY_MEMORY=64M SPILLWAY_PROPERTY=MemoryMax=64M; do
        refuses 127 "/no/such: command not found; check its name" \
                env $set "$spillway" run /no/such
done
refuses 125 "SPILLWAY_MEMORY: -m: 'much' is no size; write a number with K, M, G, T or % of RAM, e.g. 512M or 50%" \
        env SPILLWAY_MEMORY=much "$spillway" run true
refuses 127 "/no/such: command not found; check its name" \
        env SPILLWAY_MEMORY=much "$spillway" run -m 64M /no/such
file 'memory = 64M'
refuses 127 "/no/such: command not found; check its name" \
        "$spillway" run /no/such

# ---- bad lines ----
known="known: memory, swap, zswap, report, verbose, property"
bad() {
        file 'memory = 64M' "# a comment" "$1"
        refused_with "$conf:3: $2"
}
bad memory "'memory' is no setting; write KEY = VALUE"
bad '= 5' "'' is no setting; $known"
bad 'memroy = 5' "'memroy' is no setting; $known"
bad '--memory = 64M' "'--memory' is no setting; $known"
bad 'name = redis' "'name' is no setting; $known"
bad 'Memory = 64M' "'Memory' is no setting; $known"
bad 'memory =' "'memory' has no value"
bad 'verbose = yes' "-v: 'yes' is not how much to tell: 0, 1 or 2"
bad 'property = CPUQuota=20%' "-p CPUQuota=20%: no such property; known: MemoryHigh, MemoryMax, MemorySwapMax"
bad "$(printf 'a\033[31mb = 1')" "'a?[31mb' is no setting; $known"
bad "$(printf '%060d' 0) = 1" "'$(printf '%040d' 0)...' is no setting; $known"
printf 'memory = 64M\0\n' >"$conf"
refused_with "$conf:1: 'memory = 64M' is followed by a zero byte"

# ---- the file itself ----
refuses 125 "SPILLWAY_CONF: $dir/none: cannot be read: No such file or directory" \
        env SPILLWAY_CONF="$dir/none" "$spillway" run -m 64M true
refuses 125 "$dir: cannot be read to its end" \
        env SPILLWAY_CONF="$dir" "$spillway" run -m 64M true
file 'rubbish'
refuses 125 "$none" env SPILLWAY_CONF= "$spillway" run true

# ---- properties ----
: >"$conf"
property() {
        refuses 125 "$2" "$spillway" run -m 64M -p "$1" -- true
}
property CPUQuota=20% "-p CPUQuota=20%: no such property; known: MemoryHigh, MemoryMax, MemorySwapMax"
property memorymax=1G "-p memorymax=1G: no such property; known: MemoryHigh, MemoryMax, MemorySwapMax"
property MemoryMax "-p MemoryMax: no value; write MemoryMax=SIZE"
for size in '' big 64MB auto; do
        property "MemoryMax=$size" "-p MemoryMax: '$size' is no size; write a number with K, M, G, T or % of RAM, e.g. 512M or 50%"
done
property MemoryHigh=0 "-p MemoryHigh=0: too small to run anything in; the minimum is 8M"
property MemoryMax=1M "-p MemoryMax=1M: too small to run anything in; the minimum is 8M"
property MemorySwapMax=0 "-p MemorySwapMax=0: a session has a swap device, of at least 1M"
refuses 125 "-p MemorySwapMax: a zram device of 2G is more than what is left, 1G; raise it, or make the device smaller" \
        "$spillway" run -m 64M -p MemorySwapMax=1G --swap zram:2G -- true
refuses 125 "-p MemorySwapMax: how large /x is would be known too late; leave one of them out" \
        "$spillway" run -m 64M --property MemorySwapMax=1G --swap file:/x -- true

# ---- what counts in a session ----
"$spillway" run -m 64M -- true >"$dir/out" 2>&1 ||
        skip "what spillway run needs: $(cat "$dir/out")"
file 'memory = 100M' 'swap = zram:300M' "report = $dir/report"
# reported KEY COMMAND...: an object of its report.
reported() {
        want=$1
        shift
        "$@" >"$dir/out" 2>&1 </dev/null || compare "$*" "a session" \
                "$(cat "$dir/out")"
        got=$(python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
print(r["budget_bytes"] >> 20, *(d["size_bytes"] >> 20 for d in r["devices"]))' \
                "$dir/report")
        compare "budget and devices in MiB" "$want" "$got" "$@"
}
reported "100 300" "$spillway" run true
reported "90 300" env SPILLWAY_MEMORY=90M "$spillway" run true
reported "80 300" env SPILLWAY_MEMORY=90M "$spillway" run -m 80M true
reported "70 300" "$spillway" run -m 80M -p MemoryMax=70M true
reported "80 20 30" env SPILLWAY_SWAP='zram:20M;zram:30M' \
        "$spillway" run -m 80M true
file "report = $dir/report"
reported "64 50" "$spillway" run -m 64M -p MemorySwapMax=50M true
reported "64 192" "$spillway" run -m 64M -p MemorySwapMax=1G true

# Devices that come later count, too.
if [ "$(id -u)" -ne 0 ]; then
        export XDG_RUNTIME_DIR="$dir"
fi
name=conf-$$
"$spillway" run -m 64M -p MemorySwapMax=20M --swap zram:10M --name $name -- \
        sleep 600 2>"$dir/session" &
pid=$!
trap 'kill $pid 2>/dev/null; rm -rf "$dir"' EXIT
tries=0
until "$spillway" show -s $name >"$dir/out" 2>&1; do
        kill -0 $pid 2>/dev/null && [ $tries -lt 1000 ] ||
                skip "a session that can be talked to: $(cat "$dir/session")"
        tries=$((tries + 1))
        sleep 0.02
done
refuses 1 "-p MemorySwapMax: a zram device of 16M is more than what is left, 10M; raise it, or make the device smaller" \
        "$spillway" on -s $name zram:16M
prints 0 "zram1: on" "$spillway" on -s $name zram:4M
prints 0 "zram2: on" "$spillway" on -s $name zram:
refuses 1 "-p MemorySwapMax: a zram device of 1M is more than what is left, nothing; raise it, or make the device smaller" \
        "$spillway" on -s $name zram:1M
prints 0 "zram0 10M
zram1 4M
zram2 6M" sh -c "'$spillway' show -s $name --raw --noheadings | cut -d ' ' -f 1,3"
kill $pid
wait $pid 2>/dev/null

finish
