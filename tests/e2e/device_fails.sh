#!/bin/sh
# Disks that fail: pages that cannot be read or written, and requests that are
# not answered. The disk is a file on a file system that fails as it is told,
# as it is and behind a loop device.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need losetup mkswap umount
[ "$(id -u)" -eq 0 ] || skip "root, to mount a file system that fails"
[ -w /dev/fuse ] || skip "/dev/fuse is not there"

mkdir "$tmp/fs"
area=$tmp/fs/area
loop=
supervisor=
truncate -s 128M "$tmp/disk"
: >"$tmp/orders"
"$failing" "$tmp/fs" "$tmp/disk" "$tmp/orders" >"$tmp/disk.out" 2>&1 &
disk=$!
by=$disk
detach() {
	: >"$tmp/orders" # what hangs may end
	[ -z "$loop" ] || losetup -d "$loop"
	[ -z "$supervisor" ] || kill -KILL "$supervisor"
	umount -l "$tmp/fs" 2>/dev/null
	kill $disk 2>/dev/null
	wait $disk 2>/dev/null
	cleanup
}
trap 'status=$?; detach; exit $status' EXIT

# until_said FILE WORDS: waits until they are in it, and $by is alive.
until_said() {
	tries=1000
	until grep -q "$2" "$1" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] && kill -0 "$by" 2>/dev/null || {
			fail "never said: $2"
			return 1
		}
		sleep 0.05
	done
}

order() {
	[ $# = 0 ] && : >"$tmp/orders.new" || printf '%s\n' "$@" >"$tmp/orders.new"
	mv "$tmp/orders.new" "$tmp/orders"
}

# device NUMBER NAME: a field of a device in the report.
device() {
	"$tool" json "$tmp/$session.json" "devices.$1.$2"
}

# start NAME OPTION... -- COMMAND...: as session, in the background.
start() {
	session=$1
	shift
	rm -f "$tmp/$session.json" "$tmp/$session.out" "$tmp/go"
	"$SPILLWAY" run -m 16M --report "$tmp/$session.json" "$@" \
		>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
	supervisor=$!
	by=$supervisor
}

ended() {
	wait "$supervisor"
	rc=$?
	supervisor=
	[ $rc = 0 ] || { fail "$session: status $rc"; show_errors; }
	if grep -q -e MISMATCH -e WRONG "$tmp/$session.err"; then
		fail "$session: $(grep -m 1 -e MISMATCH -e WRONG \
			"$tmp/$session.err")"
	fi
	used=$("$tool" json "$tmp/$session.json" 'devices.*.used_pages')
	[ "$used" = 0 ] || fail "$session: $used slots still used at the end"
	left=$("$tool" gone "$mark.run" 3) ||
		fail "$session: left behind: $left"
}

# lines WORDS: how many lines of the session have them.
lines() {
	grep -c "$1" "$tmp/$session.err"
}

# What the disk has refused is counted from here on.
count_refused() {
	refused_before=$(wc -l <"$tmp/disk.out")
}

# refused READ_OR_WRITE: how many pages, each by itself.
refused() {
	tail -n +$((refused_before + 1)) "$tmp/disk.out" |
		grep "^REFUSED $1 " | sort -u | wc -l
}

until_said "$tmp/disk.out" READY || skip "$(cat "$tmp/disk.out")"
mkswap -q "$area" || fail "mkswap failed"
loop=$(losetup --show -f "$area" 2>/dev/null) || loop=

# ---- pages that cannot be read ----
# Which slots have a page is not known, but that the disk is asked for it.
pages_lost() {
	count_refused
	E2E_MARK=$mark.run start "lost-$1" --swap "$2" -- \
		"$workload" -s 48 lost "$tmp/go"
	until_said "$tmp/$session.out" READY
	order "read 2100 2107 5" "read 4100 4107 5"
	touch "$tmp/go"
	ended
	order
	lost=$(grep -c '^LOST 0x' "$tmp/$session.out")
	[ "$lost" -ge 1 ] && [ "$lost" = "$(refused read)" ] &&
		grep -q "^LOST $lost in all" "$tmp/$session.out" ||
		fail "$session: $(refused read) refused, but $(grep LOST "$tmp/$session.out")"
	[ "$(device 0 read_errors)" = "$lost" ] ||
		fail "$session: $(device 0 read_errors) read errors"
	[ "$(counter poisoned)" = "$lost" ] ||
		fail "$session: $(counter poisoned) pages poisoned"
	[ "$(lines "$2: slot [24]10[0-7] cannot be read: Input/output error")" = "$lost" ] &&
		[ "$(lines 'is lost: its reader gets SIGBUS')" = "$lost" ] || {
		fail "$session: not said, or more than once"
		show_errors
	}
}
pages_lost file "file:$area"
[ -z "$loop" ] || pages_lost block "block:$loop"

# ---- pages that cannot be written ----
# Each that was ever to be written, by itself in the end, is bad. In this budget
# pages go one by one: of a larger folio, what is left of it may not be tried.
order "write 2100 2104 5" "write 4100 4104 28"
count_refused
E2E_MARK=$mark.run start sectors --swap "file:$area" -- \
	"$workload" -s 48 -r 2 basic
ended
bad=$(device 0 bad_slots)
[ "$bad" -ge 1 ] && [ "$bad" = "$(refused write)" ] ||
	fail "sectors: $bad bad slots, and $(refused write) that cannot be written"
[ "$(device 0 failed)" = false ] || fail "sectors: the device was given up"
[ "$(device 0 write_errors)" -ge "$bad" ] || fail "sectors: too few write errors"

# ---- none of them can, from now on ----
all_writes_fail() {
	order
	E2E_MARK=$mark.run start "writes-$1" --swap "$2,prio=5" \
		--swap zram:64M,prio=1 -- "$workload" -s 48 --seconds 3 churn
	until_said "$tmp/$session.out" READY
	order "write 0 99999 5"
	ended
	order
	[ "$(lines "$2 takes no more pages")" = 1 ] || {
		fail "$session: not said once that the device is given up"
		show_errors
	}
	[ "$(device 0 failed)" = true ] || fail "$session: not given up"
	[ "$(device 1 pages_stored)" -gt 1000 ] ||
		fail "$session: $(device 1 pages_stored) pages went to zram"
	[ "$(counter poisoned)" = 0 ] || fail "$session: pages were lost"
}
all_writes_fail file "file:$area"
[ -z "$loop" ] || all_writes_fail block "block:$loop"

# ---- what it holds then goes elsewhere ----
name=e2e-fails-$$

# start_full NAME OPTION...: one program has put most of its memory on the disk
# and looks at all of it when $tmp/go is there; another one begins to fill memory
# when $tmp/fill is there, until which nothing is written.
start_full() {
	full=$1
	shift
	rm -f "$tmp/fill"
	order
	E2E_MARK=$mark.run start "$full" --name "$name" "$@" -- sh -c "
		'$workload' -s 48 lost '$tmp/go' &
		until [ -e '$tmp/fill' ]; do sleep 0.02; done
		'$workload' -s 24 basic
		wait \$!"
	until_said "$tmp/$full.out" READY
}

# None of it was lost, or as many pages as $1.
ended_with_lost() {
	touch "$tmp/go"
	ended
	grep -q "^LOST $1 in all" "$tmp/$session.out" ||
		fail "$session: $(grep LOST "$tmp/$session.out"), not $1"
	[ "$(counter poisoned)" = "$1" ] ||
		fail "$session: $(counter poisoned) pages poisoned, not $1"
}

said_once() {
	[ "$(lines "$1")" = 1 ] || {
		fail "$session: said $(lines "$1") times: $1"
		show_errors
	}
}

used() {
	"$SPILLWAY" show -s "$name" --raw --bytes --noheadings |
		awk -v name="$1" '$1 == name { print $4 }'
}

# drained KIND DEVICE OPTION...
drained() {
	from=$2
	full=drained-$1
	shift 2
	start_full "$full" "$@" --swap "$from,prio=5" --swap zram:128M,prio=1
	order "write 0 99999 5"
	touch "$tmp/fill"
	until_said "$tmp/$session.err" "$from: empty, .* moved in .* s (.*/s)"
	said_once "$from: what it holds is moved elsewhere: [0-9.]*M"
	[ "$(used "$from")" = 0 ] || fail "$session: $(used "$from") bytes are left"
	ended_with_lost 0
	[ "$(device 0 failed)" = true ] || fail "$session: not given up"
}
drained file "file:$area"
[ -z "$loop" ] || drained block "block:$loop"
drained zswap "file:$area" --zswap 4M

# What cannot be read stays on the disk. If that can read it later, nothing is lost.
start_full healed --swap "file:$area,prio=5" --swap zram:128M,prio=1
order "write 0 99999 5" "read 2100 2131 5"
touch "$tmp/fill"
until_said "$tmp/healed.err" "file:$area: .* moved in .*; .* cannot be read and stays"
rest=$(used "file:$area")
[ "$rest" -ge 4096 ] && [ "$rest" -le $((32 * 4096)) ] ||
	fail "healed: $rest bytes are left of 32 pages"
order
ended_with_lost 0

start_full half --swap "file:$area,prio=5" --swap zram:128M,prio=1
order "write 0 99999 5" "read 2100 2131 5"
touch "$tmp/fill"
until_said "$tmp/half.err" "file:$area: .* moved in .*; .* cannot be read and stays"
rest=$(used "file:$area")
ended_with_lost $((rest / 4096))

# switches: how often the thread that empties devices went to sleep.
switches() {
	for task in /proc/$supervisor/task/*; do
		grep -qx spillway-drain "$task/comm" 2>/dev/null || continue
		awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "$task/status"
	done
}

has_slept() {
	[ "$(switches)" -gt "$1" ]
}

# There is no room for it, which is said once, however often it is tried.
start_full crowded --swap "file:$area"
order "write 0 99999 5"
touch "$tmp/fill"
until_said "$tmp/crowded.err" "file:$area: what it holds fits neither"
until_true has_slept $(($(switches) + 3)) || fail "crowded: it is not tried again"
say on zram:128M
[ "$status" = 0 ] || fail "crowded: $said"
until_said "$tmp/crowded.err" "file:$area: empty, .* moved"
said_once "fits neither"
ended_with_lost 0

# Who turns it off comes first, however long it takes to empty it.
start_full off --swap "file:$area,prio=5" --swap zram:128M,prio=1
order "write 0 99999 5" "read 0 99999 hang"
touch "$tmp/fill"
until_said "$tmp/off.err" "file:$area: what it holds is moved elsewhere"
"$SPILLWAY" off -s "$name" "file:$area" >"$tmp/off.said" 2>&1 &
caller=$!
until_said "$tmp/off.err" "no answer for 1 s to a read of slot"
order
wait $caller || fail "off: $(cat "$tmp/off.said")"
grep -q "off, .* moved" "$tmp/off.said" || fail "off: $(cat "$tmp/off.said")"
[ -z "$(used "file:$area")" ] || fail "off: it is on still"
[ "$(lines "file:$area: empty")" = 0 ] || fail "off: it was emptied before"
ended_with_lost 0

# ---- a disk that does not answer ----
E2E_MARK=$mark.run start silent --swap "file:$area" -- sh -c "
	'$workload' -s 48 lost '$tmp/go' &
	while ! [ -e '$tmp/stop' ]; do
		date +%s >'$tmp/now'
		echo tick
		sleep 0.02
	done
	wait \$!"
until_said "$tmp/silent.out" READY
order "read 0 99999 hang"
touch "$tmp/go"
until_said "$tmp/silent.err" "no answer for 1 s to a read of slot"
ticks=$(grep -c tick "$tmp/silent.out")
tries=400
until [ "$(grep -c tick "$tmp/silent.out")" -gt $((ticks + 20)) ]; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || { fail "silent: the others do not go on"; break; }
	sleep 0.05
done
order
until_said "$tmp/silent.err" "answers again, after"
touch "$tmp/stop"
ended
grep -q '^LOST 0 in all' "$tmp/silent.out" || fail "silent: pages were lost"
[ "$(counter swap_read_late)" -gt 0 ] || fail "silent: swap_read_late is 0"
[ "$(counter poisoned)" = 0 ] || fail "silent: pages were poisoned"

# ---- and one that takes no answer to a write ----
# Which is waited for half a minute. Memory grows meanwhile, and what goes out
# afterwards goes elsewhere.
if [ "$level" -gt 1 ]; then
	E2E_MARK=$mark.run start mute --swap "file:$area,prio=5" \
		--swap zram:64M,prio=1 -- "$workload" -s 48 --seconds 45 churn
	until_said "$tmp/mute.out" READY
	order "write 0 99999 hang"
	until_said "$tmp/mute.err" "takes no more pages: it does not answer"
	[ "$(lines "no answer for 30 s to a write")" = 1 ] ||
		fail "mute: not said once"
	order
	ended
	[ "$(device 1 pages_stored)" -gt 100 ] ||
		fail "mute: $(device 1 pages_stored) pages went to zram"
	[ "$(counter poisoned)" = 0 ] || fail "mute: pages were poisoned"
fi

finish
