#!/bin/sh
# Exit status and signals pass through: the program's own code, its death by
# signal, and every signal the supervisor is sent.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

for how in 0 1 37 125 255 SIGTERM SIGKILL SIGSEGV SIGINT SIGPIPE SIGUSR1 segv \
	abort; do
	"$workload" -s 32 exit $how >/dev/null 2>&1
	want=$?
	session "exit-$how" 16M --swap zram:256M -- "$workload" -s 32 exit $how
	check_session $want
	said=$("$tool" json "$tmp/$session.json" exit_status 2>/dev/null)
	[ "${said:-$want}" = $want ] ||
		fail "$session: the report says $said, not $want"
done

# A shell in between, and standard input, output and arguments as they are.
session shell 16M --swap zram:256M -- sh -c "'$workload' -s 32 exit SIGTERM
	echo \$?; exit 3"
check_session 3
[ "$(cat "$tmp/shell.out")" = 143 ] || fail "shell: $(cat "$tmp/shell.out")"
got=$(printf 'a b\n' | "$SPILLWAY" run -m 16M -- sh -c 'cat; echo "<$1>"' - \
	'x  y') || fail "a pipeline through sh failed"
[ "$got" = "$(printf 'a b\n<x  y>')" ] || fail "pipeline gave '$got'"

session=signals
"$tool" clean "$SPILLWAY" run -m 16M --swap zram:256M \
	--report "$tmp/signals.json" -- \
	"$workload" -s 32 sigwait >"$tmp/signals.out" 2>"$tmp/signals.err" &
supervisor=$!
wait_line() {
	until_true grep -qs "$1" "$tmp/signals.out"
}
wait_line READY || fail "sigwait never was ready"
for sig in HUP INT QUIT TERM USR1 WINCH USR2; do
	kill -s $sig $supervisor
	wait_line "SIGNAL $sig" || fail "SIG$sig was not forwarded"
done
wait $supervisor
rc=$?
check_session 21
finish
