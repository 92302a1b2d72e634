#!/bin/sh
# death.sh target|child|agent|supervisor: SIGKILL to one of them in the middle
# of heavy paging, again and again. Nobody ever reads zeros, no process and no
# file stays, and whoever is left goes on or ends as it should.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

victim=${1:?whom to kill}
turns=${E2E_TURNS:-12}
[ "$level" -gt 1 ] && turns=${E2E_TURNS:-100}

# Everywhere the supervisor or an agent could leave something, but for the folder
# of sockets. What runs beside us (a benchmark, an example, the demo, tests) has
# folders of its own in these places, which come and go.
named() {
	find "$@" -iname '*spillway*' ! -path /run/spillway \
		! -name 'spillway-bench*' ! -name 'spillway-example.*' \
		! -name 'spillway-demo.*' 2>/dev/null
}
files() {
	{
		named "$TMPDIR" /run -maxdepth 2
		named /tmp /var/tmp /dev/shm -maxdepth 1
	} | sort
}

# pick COMM: one of the marked processes of that name, not always the same.
pick() {
	"$tool" procs "$mark" "$1" >"$tmp/procs"
	lines=$(wc -l <"$tmp/procs")
	[ "$lines" -gt 0 ] || return 1
	sed -n "$((turn % lines + 1))s/ .*//p" "$tmp/procs"
}

strike() {
	read -r _ target child _ <"$tmp/out"
	case $victim in
	target) prey=$target ;;
	child) prey=$child ;;
	agent) prey=$(pick spillway-agent) ;;
	supervisor) prey=$supervisor ;;
	*) skip "nobody is called $victim" ;;
	esac
	if [ -z "$prey" ]; then
		fail "turn $turn: no $victim to kill"
		return
	fi
	kill -KILL "$prey" 2>/dev/null ||
		fail "turn $turn: $victim $prey was gone before it was killed"
}

# What each death must lead to.
case $victim in
target | supervisor) want_rc=137 ;;
*) want_rc=0 ;;
esac

files >"$tmp/before"
for turn in $(seq "$turns"); do
	threads=$((turn % 2 * 2 + 1))
	session=turn
	rm -f "$tmp/out" "$tmp/turn.json" "$tmp/struck"
	"$SPILLWAY" run -m 16M --swap zram:512M --report "$tmp/turn.json" -- \
		"$workload" -s 64 -t $threads --seconds 1 churn "$tmp/struck" \
		>"$tmp/out" 2>"$tmp/turn.err" </dev/null &
	supervisor=$!
	until_true grep -qs READY "$tmp/out" || fail "turn $turn: never ready"
	sleep "0.$(printf %03d $((turn * 37 % 250)))"
	strike
	touch "$tmp/struck"
	wait_at_most 20 $supervisor
	[ $rc = $want_rc ] ||
		{ fail "turn $turn: exit status $rc, not $want_rc"; show_errors; }
	left=$("$tool" gone "$mark" 3) ||
		fail "turn $turn: processes left behind: $left"
	if grep -q -e MISMATCH -e WRONG "$tmp/turn.err"; then
		fail "turn $turn: $(grep -m 1 -e MISMATCH -e WRONG \
			"$tmp/turn.err")"
	fi
	[ "$victim" = supervisor ] || check_clean
	[ "$victim" != agent ] || grep -qi agent "$tmp/turn.err" ||
		fail "turn $turn: no warning that an agent died"
	new=$(files | comm -13 "$tmp/before" -)
	[ -z "$new" ] || fail "turn $turn: files left: $new"
	[ ! -e "/run/spillway/$supervisor" ] ||
		fail "turn $turn: its socket is left"
	[ "$failures" -lt 5 ] || break
done

# An agent that said hello and died before the supervisor took notice: it was
# stopped meanwhile.
struck_early() {
	session=early
	rm -f "$tmp/out" "$tmp/struck"
	# shellcheck disable=SC2016
	out=$tmp/out tool=$tool mark=$mark struck=$tmp/struck "$SPILLWAY" run -m 64M \
		--swap zram:512M -- sh -c '
		kill -STOP $PPID
		"$@" & pid=$!
		until grep -q READY "$out"; do sleep 0.02; done
		"$tool" procs "$mark" spillway-agent | sed "1d; s/ .*//" |
			xargs kill -KILL
		kill -CONT $PPID
		touch "$struck"
		wait $pid' sh "$workload" -s 16 --seconds 1 churn "$tmp/struck" \
		>"$tmp/out" 2>"$tmp/early.err" </dev/null
	rc=$?
	[ $rc = 0 ] || { fail "early: exit status $rc"; show_errors; }
	read -r _ target _ <"$tmp/out"
	grep -q "agent of process $target died" "$tmp/early.err" ||
		fail "early: no warning that the agent of $target died"
}
[ "$victim" != agent ] || struck_early

echo "death of $victim: $turn turns"
finish
