# lib.sh - what the end-to-end tests share; sourced by each of them.
#
# SPILLWAY   path of the program under test
# E2E_BIN    folder with e2e-workload, e2e-tool, e2e-sampler, e2e-failing
# E2E_LEVEL  1 quick (default), 2 full loop counts
#
# A test works in $tmp, which goes with it however it ends, together with
# every process that bears its mark. It calls fail for each thing that is
# wrong and ends with finish: status 0, 1, or 77 where something is missing.

# shellcheck shell=sh disable=SC2034,SC3045
set -u
ulimit -c 0

level=${E2E_LEVEL:-1}
here=$(cd "$(dirname "$0")" && pwd)
test_name=$(basename "$0" .sh)
workload=${E2E_BIN:-.}/e2e-workload
tool=${E2E_BIN:-.}/e2e-tool
sampler=${E2E_BIN:-.}/e2e-sampler
failing=${E2E_BIN:-.}/e2e-failing
failures=0

skip() {
	echo "SKIP: $*"
	exit 77
}

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

finish() {
	if [ "$failures" -gt 0 ]; then
		echo "$test_name: $failures failed"
		exit 1
	fi
	echo "$test_name: passed"
	exit 0
}

need() {
	for wanted; do
		command -v "$wanted" >/dev/null || skip "no $wanted here"
	done
}

# Kills by pid what this test has started and not reaped.
cleanup() {
	trap - EXIT INT TERM HUP
	"$tool" procs "$mark" 2>/dev/null | while read -r pid _; do
		kill -KILL "$pid" 2>/dev/null
	done
	"$tool" gone "$mark" 0.4 >/dev/null 2>&1
	rm -rf "$tmp"
}

[ -x "$tool" ] || skip "E2E_BIN does not name the built helpers"
mark=$test_name.$$
tmp=$(mktemp -d "${TMPDIR:-/var/tmp}/e2e-$test_name.XXXXXX") || exit 1
trap 'status=$?; cleanup; exit $status' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
trap 'exit 141' PIPE
export E2E_MARK="$mark"
export SPILLWAY_CONF= # nothing of this machine's own
mkdir "$tmp/t"
export TMPDIR="$tmp/t"

need_spillway() {
	[ -n "${SPILLWAY:-}" ] || skip "SPILLWAY is not set"
	[ -x "$SPILLWAY" ] || skip "$SPILLWAY is not there"
}

# interruptible COMMAND...: a trap need not wait for its end. The shell lets
# a command in the background ignore SIGINT; e2e-tool clean undoes that.
interruptible() {
	"$@" <&0 &
	wait $!
}

# until_true COMMAND...: tried again and again; 1 if it is not within 20 seconds.
until_true() {
	tries=1000
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.02
	done
}

# wait_at_most SECONDS PID: for a child, which is killed when they are over;
# its exit status goes to $rc.
wait_at_most() {
	E2E_MARK=- "$tool" reaper "$2" "$1" &
	reaper=$!
	wait "$2"
	rc=$?
	kill $reaper 2>/dev/null
	wait $reaper 2>/dev/null
}

# session NAME BUDGET [OPTION...] -- COMMAND [ARG...]
# Runs COMMAND under spillway; its output goes to $tmp/NAME.out and .err, the
# report to $tmp/NAME.json, its exit status to $rc (124: took too long).
session() {
	session=$1
	budget=$2
	shift 2
	rm -f "$tmp/$session.json"
	interruptible "$tool" clean timeout -k 5 "${session_timeout:-90}" \
		"$SPILLWAY" run -m "$budget" --report "$tmp/$session.json" \
		"$@" >"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null
	rc=$?
}

show_errors() {
	sed 's/^/    | /' "$tmp/$session.err" | tail -n 15
}

# counter NAME: from the report of the last session; 0 if it has none.
counter() {
	"$tool" json "$tmp/$session.json" "counters.$1" 2>/dev/null || echo 0
}

# What every session must leave behind: nothing.
check_clean() {
	left=$("$tool" gone "$mark" 3) ||
		fail "$session: processes left behind: $left"
	if [ ! -s "$tmp/$session.json" ]; then
		fail "$session: no report"
		show_errors
		return
	fi
	used=$("$tool" json "$tmp/$session.json" 'devices.*.used_pages')
	[ "$used" = 0 ] || fail "$session: $used slots still used at the end"
	for bad in swap_read_error poisoned; do
		[ "$(counter $bad)" = 0 ] ||
			fail "$session: $bad is $(counter $bad)"
	done
}

# check_session STATUS: ended as it should, cleanly, and really paged.
check_session() {
	if [ "$rc" != "$1" ]; then
		fail "$session: exit status $rc, not $1"
		show_errors
	fi
	if grep -q -e MISMATCH -e WRONG "$tmp/$session.err"; then
		fail "$session: $(grep -m 1 -e MISMATCH -e WRONG \
			"$tmp/$session.err")"
	fi
	check_clean
	if [ "$(counter pswpout)" -lt "${min_pswpout:-100}" ]; then
		fail "$session: only $(counter pswpout) pages went out"
	fi
}

# say COMMAND [ARG]...: asks the session $name; its exit status is in $status, what it said in $said.
say() {
	command=$1
	shift
	said=$("$SPILLWAY" "$command" -s "$name" "$@" 2>&1)
	status=$?
}

# is_said STATUS PATTERN WHAT: $status and $said are; some line is like PATTERN.
is_said() {
	[ "$status" = "$1" ] || fail "$3: status $status, not $1: $said"
	printf '%s\n' "$said" | grep -q -e "$2" ||
		fail "$3: '$said' is not like '$2'"
}

is_running() {
	say show
	[ "$status" = 0 ]
}
