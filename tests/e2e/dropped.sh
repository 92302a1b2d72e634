#!/bin/sh
# A process that has given up root and then forks: the child is managed too.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

session dropped 16M --swap zram:1G -- "$workload" -s 96 dropped
min_pswpout=10000
check_session 0
peak=$("$tool" json "$tmp/dropped.json" peak_bytes)
echo "dropped: peak $((peak >> 10)) KiB"
[ "$peak" -lt 50000000 ] || fail "dropped: a peak of $peak bytes"
! grep -q warning "$tmp/dropped.err" || fail "dropped: $(cat "$tmp/dropped.err")"
finish
