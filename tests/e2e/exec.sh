#!/bin/sh
# A process that becomes another program before the supervisor had time to
# greet its agent: the agent goes, the program stays.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

session=early-exec
mkfifo "$tmp/go" "$tmp/end"
"$SPILLWAY" run -m 32M --report "$tmp/$session.json" -- \
	sh -c 'read -r go <"$0"; sh -c "exec cat \"$1\""; echo "rc $?"' \
	"$tmp/go" "$tmp/end" >"$tmp/$session.out" 2>"$tmp/$session.err" \
	</dev/null &
supervisor=$!
exec 3>"$tmp/go" # opens as soon as the shell reads
kill -STOP $supervisor
echo go >&3
exec 4>"$tmp/end" # opens as soon as cat reads: it has executed
kill -CONT $supervisor
echo hello >&4
# As long as the supervisor needs to see to the agent.
tries=500
until [ -z "$("$tool" procs "$mark" spillway-agent | sed -n 2p)" ]; do
	tries=$((tries - 1))
	[ $tries -gt 0 ] || break
	sleep 0.01
done
exec 3>&- 4>&-
wait $supervisor
rc=$?
min_pswpout=0
check_session 0
[ "$(cat "$tmp/$session.out")" = "hello
rc 0" ] || fail "cat was killed: $(cat "$tmp/$session.out")"
finish
