#!/bin/sh
# A fork that is still being taken in when parent and child have ended: the
# thread that reads the parent's events sleeps in the middle of it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need mkfifo strace

mkfifo "$tmp/go"
session=last_fork
"$SPILLWAY" run -m 32M --swap zram:1G --report "$tmp/$session.json" -- \
	"$workload" -s 96 lastfork "$tmp/go" \
	>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
supervisor=$!
until grep -qs READY "$tmp/$session.out"; do
	kill -0 $supervisor || { show_errors; fail "not ready"; finish; }
	sleep 0.01
done

# It starts a thread for the child's events, and gets no further for a while.
reader=$(grep -l spillway-fault /proc/$supervisor/task/*/comm | cut -d/ -f5)
strace -o "$tmp/trace" -e trace=clone3 -e inject=clone3:delay_exit=1000000 \
	-p "$reader" 2>"$tmp/strace" &
strace=$!
until grep -qs attached "$tmp/strace"; do
	kill -0 $strace || { cat "$tmp/strace"; fail "no strace"; finish; }
	sleep 0.01
done
: >"$tmp/go"
wait $supervisor
rc=$?
wait $strace
grep -q DELAYED "$tmp/trace" || fail "nothing was slow: $(cat "$tmp/strace")"
check_session 0
[ "$(counter fork_spaces)" = 1 ] ||
	fail "$(counter fork_spaces) forks were taken in, not 1"
finish
