#!/bin/sh
# Compressed memory in front of a file: the verifying workload in half and in an
# eighth of its memory, with a pool that runs full, one that does not, and zstd;
# and programs that fork. redis.sh has redis on it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
[ "$(stat -f -c %T "$tmp")" != tmpfs ] || skip "$tmp is memory, no disk"

# What is out may all be in the pool.
min_pswpout=0
size=64

# zswap NAME: a field of what the report says of it.
zswap() {
	"$tool" json "$tmp/$session.json" "zswap.$1"
}

# check_zswap COUNTER LEAST: pages were in the pool, and this happened.
check_zswap() {
	check_session 0
	[ "$(counter zswpout)" -gt 1000 ] && [ "$(counter zswpin)" -gt 1000 ] ||
		fail "$session: zswpout $(counter zswpout)," \
			"zswpin $(counter zswpin)"
	[ "$(counter "$1")" -ge "$2" ] ||
		fail "$session: $1 is $(counter "$1"), not $2"
	for bad in zswap_decompress_fail zswap_reject_reclaim_fail \
		zswap_reject_alloc_fail; do
		[ "$(counter $bad)" = 0 ] ||
			fail "$session: $bad is $(counter $bad)"
	done
	[ "$(zswap memory_peak_bytes)" -le "$(zswap size_bytes)" ] ||
		fail "$session: $(zswap memory_peak_bytes) bytes at most, of" \
			"$(zswap size_bytes)"
	echo "$session: $(counter zswpout) out, $(counter zswpin) in," \
		"$(counter zswpwb) written back," \
		"$(counter zswap_pool_limit_hit) times full"
}

# run NAME BUDGET ZSWAP COMMAND...
run() {
	name=$1 budget=$2 pool=$3
	shift 3
	session "$name" "$budget" --swap "file:$tmp,size=1G" --zswap "$pool" -- \
		"$workload" -s $size --dir "$tmp" "$@"
}

run half 32M 16M basic
check_zswap zswpout 1000
run small 32M 4M -t 2 basic
check_zswap zswpwb 100
run zstd 10M 4M,codec=zstd:6 -t 2 basic
check_zswap zswpwb 100
run forks 20M 6M forks
check_zswap zswpwb 100

# More than half of the budget is not used.
run large 16M 64M basic
check_zswap zswpout 1000
[ "$(zswap size_bytes)" = $((8 << 20)) ] ||
	fail "large: the pool has $(zswap size_bytes) bytes"

# Nothing of it where there is nothing to be in front of; no size, no pool.
session plain 32M --swap "file:$tmp,size=1G" --zswap off -- \
	"$workload" -s $size basic
[ "$(counter zswpout)" = 0 ] || fail "plain: pages in a pool that is off"
[ "$("$tool" json "$tmp/plain.json" zswap)" = null ] ||
	fail "plain: the report has a zswap"

# Beside zram, which it leaves alone.
session beside 20M --swap zram:12M,prio=5 --swap "file:$tmp,size=1G,prio=1" \
	--zswap 4M -- "$workload" -s $size basic
check_zswap zswpout 1000
[ "$("$tool" json "$tmp/beside.json" devices.0.pages_stored)" -gt 2000 ] ||
	fail "beside: zram was hardly used"

finish
