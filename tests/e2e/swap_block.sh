#!/bin/sh
# A block device (a loop device over a file) as a swap device: what it must
# have, who else may not use it, a workload over it, and what is discarded.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need losetup mkswap mke2fs
[ "$(id -u)" -eq 0 ] || skip "root, to set up a loop device"

truncate -s 128M "$tmp/disk"
loop=$(losetup --show -f "$tmp/disk" 2>/dev/null) ||
	skip "losetup cannot set up a loop device here"
detach() {
	losetup -d "$loop"
	cleanup
}
trap 'status=$?; detach; exit $status' EXIT

# refused LINE: with status 125, and only that line.
refused() {
	session refused 16M --swap "block:$loop" -- true
	[ "$rc" = 125 ] && [ "$(cat "$tmp/refused.err")" = "spillway: $1" ] || {
		fail "status $rc, wanted 125 and: $1"
		show_errors
	}
}

refused "block:$loop: no SWAPSPACE2 signature at byte 4086: not a swap area; make it one with mkswap"
mke2fs -q -F "$loop" || fail "mke2fs failed"
refused "block:$loop: has a signature of ext2, which swapping would destroy; use another, or run wipefs and mkswap to give it up"

mkswap -q -f -L cellar "$loop" || fail "mkswap failed"
session block 16M --swap "block:$loop" -- "$workload" -s 48 -t 2 basic
check_session 0
name=$("$tool" json "$tmp/block.json" devices.0.name)
label=$("$tool" json "$tmp/block.json" devices.0.label)
stored=$("$tool" json "$tmp/block.json" devices.0.pages_stored)
[ "$name-$label" = "block:$loop-cellar" ] || fail "device is $name-$label"
[ "$stored" -gt 1000 ] || fail "only $stored pages were in it"

# ---- discard ----
# disk_kib: what the file beneath the loop device takes; it has a hole where
# something was discarded.
disk_kib() {
	du -k "$tmp/disk" | cut -f 1
}
[ "$(disk_kib)" -gt 16000 ] ||
	fail "$(disk_kib) KiB written, too few to see them go"
session once 16M --swap "block:$loop,discard=once" -- true
[ "$rc" = 0 ] && [ "$(disk_kib)" -lt 1000 ] ||
	fail "once: status $rc, $(disk_kib) KiB are left"
session pages 16M --swap "block:$loop,discard=pages" -- \
	"$workload" -s 48 -t 2 basic
check_session 0
stored=$("$tool" json "$tmp/pages.json" devices.0.pages_stored)
[ "$stored" -gt 4000 ] || fail "pages: only $stored pages were in it"
# A cluster that has the header, or a bad slot, never falls empty.
[ "$(disk_kib)" -lt 6000 ] || fail "pages: $(disk_kib) KiB are left"
policy=$("$tool" json "$tmp/pages.json" devices.0.discard)
[ "$policy" = pages ] || fail "pages: the report says $policy"

# Two runs cannot have it.
"$SPILLWAY" run -m 16M --swap "block:$loop" -- \
	"$workload" -s 16 --seconds 60 churn >"$tmp/out" 2>&1 </dev/null &
first=$!
until_true grep -qs READY "$tmp/out" || fail "never ready"
refused "block:$loop: cannot be opened: Device or resource busy; it is mounted, swap, or part of another device: see lsblk"
kill -TERM $first
wait $first

finish
