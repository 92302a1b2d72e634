#!/bin/sh
# Files as swap devices: made for the run, in a folder, by mkswap; what is
# left on the disk, with discard and encryption; beside zram by priority; and one that is spoiled while pages are in it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need mkswap stat python3
[ "$(stat -f -c %T "$tmp")" != tmpfs ] || skip "$tmp is memory, no disk"

# device NAME: a field of the first device in the report.
device() {
	"$tool" json "$tmp/$session.json" "devices.0.$1"
}

# check_device NAME: pages were in it, and came back without an error.
check_device() {
	[ "$(device name)" = "$1" ] ||
		fail "$session: the device is '$(device name)', not '$1'"
	[ "$(device pages_stored)" -gt 1000 ] ||
		fail "$session: $(device pages_stored) pages were in the file"
	for field in memory_bytes read_errors write_errors; do
		[ "$(device $field)" = 0 ] ||
			fail "$session: $field is $(device $field)"
	done
}

mkdir "$tmp/swap"
area=$tmp/swap/area

# ---- made for the run ----
for command in basic forks; do
	session "folder-$command" 16M --swap "file:$tmp/swap,size=256M" -- \
		"$workload" -s 32 --dir "$tmp" $command
	check_session 0
	check_device "file:$tmp/swap"
done
left=$(ls -A "$tmp/swap")
[ -z "$left" ] || fail "left in the folder: $left"

# Nobody finds it while the run lasts either, so no death leaves it behind.
session looked 16M --swap "file:$area,size=256M" -- ls -A "$tmp/swap"
[ "$rc" = 0 ] && [ ! -s "$tmp/looked.out" ] ||
	fail "looked: status $rc, found $(cat "$tmp/looked.out")"

# ---- with io_uring, and where it is forbidden ----
cat >"$tmp/no-uring" <<EOF
#!/bin/sh
exec "$tool" no-uring "$SPILLWAY" "\$@"
EOF
chmod +x "$tmp/no-uring"
with_rings=$SPILLWAY
for spillway in "$with_rings" "$tmp/no-uring"; do
	SPILLWAY=$spillway
	for command in basic forks; do
		session "new-$command" 16M --swap "file:$area,size=256M" -- \
			"$workload" -s 32 -t 2 --dir "$tmp" $command
		check_session 0
		check_device "file:$area"
	done
done
[ "$(device io)" = pread ] || fail "$session: by $(device io), not by pread"
SPILLWAY=$with_rings

# ---- made by mkswap ----
truncate -s 128M "$area"
chmod 600 "$area"
mkswap -q -L cellar "$area" || fail "mkswap failed"
head -c 4096 "$area" >"$tmp/header"
for turn in 1 2; do
	session "mkswap-$turn" 16M -v --swap "file:$area" -- \
		"$workload" -s 32 basic
	check_session 0
	check_device "file:$area"
	[ "$(device label)" = cellar ] || fail "label is '$(device label)'"
	grep -q "file:$area of 128M: .* of pages on disk" "$tmp/$session.err" ||
		fail "$session: no line about the device"
done
head -c 4096 "$area" | cmp -s - "$tmp/header" || fail "the header changed"

# ---- what is left on the disk ----
# secrets NAME SETTINGS: sets `found` to how often the area has a program's
# words afterwards.
secrets() {
	rm -f "$area"
	truncate -s 128M "$area"
	chmod 600 "$area"
	mkswap -q "$area" || fail "mkswap failed"
	session "$1" 16M -v --swap "file:$area$2" -- python3 -c '
words = [b"in plain words %08d" % i * 200 for i in range(12000)]
for i, w in enumerate(words):
    assert w == b"in plain words %08d" % i * 200, "MISMATCH"
'
	check_session 0
	found=$(grep -a -o "in plain words" "$area" | wc -l)
}
secrets open ""
[ "$found" -gt 300000 ] || fail "open: only $found words were to be hidden"
session once 16M --swap "file:$area,discard=once" -- true
[ "$rc" = 0 ] || fail "once: status $rc"
grep -q -a "in plain words" "$area" && fail "once: the words are still there"
[ "$(stat -c %b "$area")" -ge 262144 ] ||
	fail "once: $(stat -c %b "$area") sectors of 262144 are left of its room"
secrets pages ,discard=pages
# The first 2 MiB have the header, and so never fall free.
[ "$found" -lt 100000 ] || fail "pages: $found words are left"
secrets sealed ,encrypt
[ "$found" = 0 ] || fail "sealed: $found words lie on the disk"
grep -q "on disk (.*, encrypted)" "$tmp/sealed.err" ||
	fail "sealed: the summary does not say so"
session sealed-twice 16M --swap "file:$tmp/swap,size=128M,encrypt" -- \
	"$workload" -s 48 -t 2 basic
check_session 0
check_device "file:$tmp/swap"
[ "$(device encrypted)" = true ] || fail "the report does not say encrypted"

# ---- beside zram ----
session both 16M --swap zram:8M,prio=5 --swap "file:$area,prio=1" -- \
	"$workload" -s 64 basic
check_session 0
small=$("$tool" json "$tmp/both.json" devices.0.pages_stored)
large=$("$tool" json "$tmp/both.json" devices.1.pages_stored)
[ "$small" -gt 1800 ] && [ "$large" -gt 5000 ] ||
	fail "both: $small pages in zram, $large in the file"

# ---- spoiled ----
# spoil NAME COMMAND...: runs COMMAND again and again, until somebody wants a
# page back. Who does gets SIGBUS: no zeros, and nothing of another page. Not
# before the area is open, which it is when the command starts.
spoil() {
	session=$1
	shift
	rm -f "$tmp/$session.json"
	"$SPILLWAY" run -m 16M --swap "file:$area" \
		--report "$tmp/$session.json" -- \
		sh -c 'echo STARTED && exec "$@"' sh \
		"$workload" -s 48 -r 1000 basic \
		>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
	supervisor=$!
	E2E_MARK=- "$tool" reaper $supervisor 50 &
	reaper=$!
	until grep -qs STARTED "$tmp/$session.out" ||
		! kill -0 $supervisor; do
		sleep 0.02
	done
	tries=200
	until grep -q "cannot be read" "$tmp/$session.err"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { fail "$session: not noticed"; break; }
		"$@"
		sleep 0.1
	done
	wait $supervisor
	rc=$?
	kill $reaper 2>/dev/null
	wait $reaper 2>/dev/null
	[ $rc = 135 ] || { fail "$session: status $rc, not 135"; show_errors; }
	if grep -q -e MISMATCH -e WRONG "$tmp/$session.err"; then
		fail "$session: $(grep -m 1 -e MISMATCH -e WRONG \
			"$tmp/$session.err")"
	fi
	grep -q "file:$area: slot .* cannot be read: $why" \
		"$tmp/$session.err" || fail "$session: not for the reason it was"
	[ "$(device read_errors)" -gt 0 ] || fail "$session: no read error"
	left=$("$tool" gone "$mark" 3) || fail "$session: left behind: $left"
}
why="its checksum does not match"
spoil zeroed dd if=/dev/zero of="$area" bs=64K seek=1 count=2047 \
	conv=notrunc status=none
# What is written afterwards makes the file longer again, with holes.
why=".* match\|the file was cut off"
spoil cut truncate -s 64K "$area"

finish
