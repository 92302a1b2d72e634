#!/bin/sh
# What a trace has in it is what happened: its totals are the counters of the
# report of the same run, whatever the device; with programs that fork; and what a
# session that is killed has recorded can be read.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
[ -x "${TRACE_TOOL:-}" ] || skip "TRACE_TOOL does not name trace_tool"
[ "$(stat -f -c %T "$tmp")" != tmpfs ] || skip "$tmp is memory, no disk"

size=64

# total NAME: of the last session's trace.
total() {
	"$TRACE_TOOL" totals "$tmp/$session.trace" | sed -n "s/^$1 //p"
}

# record NAME BUDGET OPTION... -- COMMAND...
record() {
	rm -f "$tmp/$1.trace"
	name=$1 budget=$2
	shift 2
	# Where others keep the CPUs and the disk, events may be dropped.
	for try in 1 2 3; do
		session "$name" "$budget" --trace "$tmp/$name.trace" "$@"
		check_session 0
		[ "$(total ending)" = complete ] ||
			fail "$name: the trace is $(total ending)"
		[ "$(total dropped)" != 0 ] || break
		[ $try -lt 3 ] || fail "$name: $(total dropped) dropped"
	done
	for what in pgfault pgfault_zero pgfault_staged pgmajfault pgfault_wp \
		pgsteal pgsteal_clean pswpin pswpout zswpin zswpout; do
		[ "$(total $what)" = "$(counter $what)" ] ||
			fail "$name: $what is $(total $what) in the trace," \
				"$(counter $what) in the report"
	done
	for what in pgfault pswpin pswpout; do
		[ "$(total sampled_$what)" = "$(counter $what)" ] ||
			fail "$name: the last sample has" \
				"$(total sampled_$what) for $what"
	done
	"$SPILLWAY" report -o "$tmp/$name.html" "$tmp/$name.trace" ||
		fail "$name: no page"
	echo "$name: $(total pgfault) faults, $(total samples) samples," \
		"$(stat -c %s "$tmp/$name.trace") bytes"
}

record zram 24M -- "$workload" -s $size -t 2 basic
record file 24M --swap "file:$tmp,size=1G" -- "$workload" -s $size basic
[ "$(total pgmajfault)" -gt 100 ] || fail "file: hardly any faults"
min_pswpout=0
record zswap 24M --swap "file:$tmp,size=1G" --zswap 4M -- \
	"$workload" -s $size -t 2 basic
[ "$(total zswpout)" -gt 1000 ] || fail "zswap: hardly used"
min_pswpout=100
record forks 24M -- "$workload" -s $size forks
[ "$(total spaces)" -gt 1 ] || fail "forks: $(total spaces) address spaces"
grep -q "e2e-workload ([0-9]*)" "$tmp/forks.html" ||
	fail "forks: no space has a name"

# Killed in the middle: what was recorded until then is there.
session=killed
"$SPILLWAY" run -m 24M --trace "$tmp/killed.trace" -- \
	"$workload" -s $size -r 1000 basic >"$tmp/killed.out" 2>&1 &
pid=$!
i=0
until [ "$(total pgfault)" ] && [ "$(total pgfault)" -gt 1000 ]; do
	i=$((i + 1))
	[ $i -lt 600 ] || break
	sleep 0.05
done
kill -KILL $pid
wait $pid
left=$("$tool" gone "$mark" 3) || fail "killed: processes left behind: $left"
[ "$(total ending)" = cut ] || fail "killed: the trace is $(total ending)"
[ "$(total pgfault)" -gt 1000 ] || fail "killed: $(total pgfault) faults"
"$SPILLWAY" report "$tmp/killed.trace" >"$tmp/killed.html" 2>"$tmp/killed.err" ||
	fail "killed: no page"
grep -q 'has no end' "$tmp/killed.err" || fail "killed: nothing said"
grep -q '</html>' "$tmp/killed.html" || fail "killed: half a page"

finish
