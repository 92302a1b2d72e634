#!/bin/sh
# strace and gdb work on a program under spillway: started by them, and
# attached to while it pages, reading memory that is out.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need strace gdb

session strace-starts 16M --swap zram:256M -- \
	strace -f -o "$tmp/trace" "$workload" -s 32 forks
check_session 0
grep -q 'exited with 0' "$tmp/trace" || fail "strace saw no exit"

session gdb-starts 16M --swap zram:256M -- \
	gdb -nx -batch -ex 'break wl_area_free' -ex run -ex 'p a->nr_pages' \
	-ex 'x/512gx a->base' -ex continue --args "$workload" -s 32 basic
check_session 0
grep -q '^\$1 = 8192' "$tmp/gdb-starts.out" || fail "gdb read no variable"
grep -q 'exited normally' "$tmp/gdb-starts.out" ||
	fail "under gdb it did not exit normally"

# paging SECONDS: starts a run to attach to, sets $supervisor and $target.
paging() {
	rm -f "$tmp/$session.out"
	"$SPILLWAY" run -m 16M --swap zram:256M \
		--report "$tmp/$session.json" -- \
		"$workload" -s 48 -t 2 --seconds "$1" churn \
		>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
	supervisor=$!
	if ! until_true grep -qs READY "$tmp/$session.out"; then
		fail "$session: never ready"
		return 1
	fi
	read -r _ target _ <"$tmp/$session.out"
}

session=strace-attaches
if paging 3; then
	timeout -s INT 1 strace -f -o "$tmp/trace" -p "$target" 2>"$tmp/strace"
	[ -s "$tmp/trace" ] || fail "strace saw nothing: $(cat "$tmp/strace")"
	wait $supervisor
	rc=$?
	check_session 0
fi

session=gdb-attaches
if paging 4; then
	timeout 30 gdb -nx -batch -p "$target" -ex 'thread apply all bt 6' \
		-ex 'find &wl, +sizeof(wl), wl.size_mib' \
		-ex 'p wl.size_mib' -ex detach >"$tmp/gdb" 2>&1 ||
		fail "gdb failed: $(tail -n 2 "$tmp/gdb")"
	grep -q 'wl_churn' "$tmp/gdb" || fail "gdb found no backtrace"
	grep -q ' = 48$' "$tmp/gdb" || fail "gdb read no variable"
	wait $supervisor
	rc=$?
	check_session 0
fi

# All of the memory through /proc/PID/mem, most of it out.
session=core
if command -v gcore >/dev/null && paging 6; then
	gcore -o "$tmp/core" "$target" >"$tmp/gcore" 2>&1 ||
		fail "gcore failed: $(tail -n 2 "$tmp/gcore")"
	size=$(stat -c %s "$tmp/core.$target" 2>/dev/null || echo 0)
	[ "$size" -gt 20000000 ] || fail "the core has only $size bytes"
	wait $supervisor
	rc=$?
	check_session 0
fi
finish
