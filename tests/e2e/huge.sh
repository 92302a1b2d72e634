#!/bin/sh
# Huge pages go out as one folio, come back as huge pages when they are read in
# order, and hold what was put there.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

grep -q '\[never\]' /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null &&
	skip "no huge pages here"

# The larger one holds all of it in the end: what is out is brought by its reader
# alone. In the smaller one huge pages come and go all the time.
for mib in 512 256; do
	session "huge-$mib" ${mib}M --swap zram:2G -- \
		"$workload" -s $((mib * 3 / 2)) -t 2 -r "$level" huge \
		$([ $mib = 256 ] || echo kept)
	check_session 0
	for name in thp_swpout swpout_2048kB; do
		[ "$(counter $name)" -gt 0 ] || fail "$session: no $name"
	done
	[ $mib = 256 ] || [ "$(counter thp_restored)" -gt 10 ] ||
		fail "$session: $(counter thp_restored) came back huge"
	echo "$session: $(counter thp_swpout) out," \
		"$(counter thp_swpout_fallback) in pieces," \
		"$(counter thp_restored) back"
done
finish
