#!/bin/sh
# 256 MiB of data in 64 MiB with a device of 16 MiB: one warning, the program
# finishes, and the report counts what found no slot.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

session full 64M --swap zram:16M -- "$workload" -s 256 -r "$level" basic
check_session 0
[ "$(counter swap_full)" -gt 0 ] || fail "swap_full is 0"
warnings=$(grep -ci 'full' "$tmp/full.err")
if [ "$warnings" != 1 ]; then
	fail "$warnings warnings that the device is full, not one"
	show_errors
fi

# A device that got room again is used again.
session again 32M --swap zram:16M -- sh -c "
	'$workload' -s 96 basic && '$workload' -s 40 -r 2 basic"
check_session 0
finish
