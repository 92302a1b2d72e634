#!/bin/sh
# A program that forks while somebody looks at its memory every two
# milliseconds. The looks hold the locks of pages for a moment, which has made
# the kernel move pages without counting them.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

watched() {
	session=$1
	shift
	interruptible "$tool" clean timeout -k 5 100 \
		"$sampler" -r -i 2 -o "$tmp/sample" -- \
		"$SPILLWAY" run -m 24M --swap zram:1G \
		--report "$tmp/$session.json" -- "$workload" -s 96 "$@" \
		>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null
	rc=$?
	check_session 0
}

for turn in $(seq $((2 * level))); do
	watched "forks-$turn" -t 4 -r 1 forks
	watched "churn-$turn" -t 3 --seconds 2 churn
done
finish
