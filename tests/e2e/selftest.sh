#!/bin/sh
# The workload checks itself: right memory passes natively, and a word broken
# before any of its checks makes the run fail there.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

names=$(env | sed -n 's/^\([A-Za-z_][A-Za-z_0-9]*\)=.*/\1/p' | paste -sd,)
for command in basic forks 'manyforks 200' spawn mremap unmap io reserve shared \
	lock advice huge '--seconds 0 hold' stack heap invisible dropped child 'lost /'; do
	for threads in 1 4; do
		# shellcheck disable=SC2086
		"$tool" clean "$workload" -s 16 -t $threads --dir "$tmp" \
			--expect-env "$names" --sites $command >"$tmp/sites" 2>"$tmp/err"
		rc=$?
		[ $rc = 0 ] || fail "$command -t $threads natively: $rc" \
			"$(cat "$tmp/err")"
		sites=$(sed -n 's/^site //p' "$tmp/sites")
		[ -n "$sites" ] || fail "$command: no checks at all"
		[ $threads = 1 ] || [ "$level" -gt 1 ] || continue
		for site in $sites; do
			# shellcheck disable=SC2086
			"$tool" clean "$workload" -s 16 -t $threads \
				--dir "$tmp" --expect-env "$names" \
				--self-test "$site" $command \
				>/dev/null 2>"$tmp/err"
			rc=$?
			case $rc in
			3 | 5) ;;
			*) fail "$command: broken at $site, but ended with $rc" ;;
			esac
			grep -q -e MISMATCH -e WRONG "$tmp/err" ||
				fail "$command: nothing said about $site"
		done
	done
done

# The sampler sees 32 MiB and a child's copy of it.
"$sampler" -i 5 -l 33554432 -o "$tmp/sample" -- "$workload" -s 128 -r 4 forks ||
	fail "forks under the sampler"
max=$(sed -n 's/^max //p' "$tmp/sample")
[ "$max" -gt 60000000 ] && [ "$max" -lt 400000000 ] ||
	fail "the sampler saw at most $max bytes"
above=$(sed -n 's/^above //p' "$tmp/sample")
[ "$above" -gt 0 ] || fail "the sampler did not see the limit passed"

# Processes are found by their mark, and only these.
sleep 30 &
mine=$!
E2E_MARK=other sleep 30 &
other=$!
sleep 0.1
found=$("$tool" procs "$mark")
[ "${found%% *}" = $mine ] || fail "the mark did not find $mine: $found"
[ "$(echo "$found" | wc -l)" = 1 ] || fail "marks are mixed up: $found"
"$tool" gone "$mark" 0.1 >/dev/null && fail "gone, but still there"
kill $mine $other
"$tool" gone "$mark" 1 || fail "there, but gone"

printf '{"a":{"b":[{"u":2,"n":"x"},{"u":3}]}}' >"$tmp/j"
[ "$("$tool" json "$tmp/j" 'a.b.*.u')" = 5 ] || fail "json: sum"
[ "$("$tool" json "$tmp/j" a.b.0.n)" = x ] || fail "json: element"
"$tool" json "$tmp/j" a.c 2>/dev/null && fail "json: a value that is not there"
finish
