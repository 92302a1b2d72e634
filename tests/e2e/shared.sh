#!/bin/sh
# Shared memory is outside of the budget: the report says how much there was,
# each page once, and a budget smaller than that is warned of.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

# report_between LOW HIGH: of shared memory, in KiB.
report_between() {
	check_session 0
	seen=$(($("$tool" json "$tmp/$session.json" shared_peak_bytes) >> 10))
	[ "$seen" -ge "$1" ] && [ "$seen" -le "$2" ] ||
		fail "$session: $seen KiB of shared memory, not $1 to $2"
}

# warnings NUMBER
warnings() {
	said=$(grep -c 'warning: the command has .* of shared memory' \
		"$tmp/$session.err")
	[ "$said" = "$1" ] || fail "$session: $said warnings, not $1"
}

# Three times a twelfth of 64 MiB, in processes that map it twice.
for threads in 1 4; do
	session "plenty-t$threads" 32M -v --swap zram:1G -- \
		"$workload" -s 64 -t $threads -r 2 shared
	report_between 16000 20000
	warnings 0
	grep -q 'shared memory outside of the budget: 16\.' "$tmp/$session.err" ||
		fail "$session: not in the summary"
	session "more-than-all-t$threads" 8M --swap zram:1G -- \
		"$workload" -s 64 -t $threads -r 2 shared
	report_between 16000 20000
	warnings 1
done

session private 16M -v --swap zram:1G -- "$workload" -s 64 basic
report_between 0 100
warnings 0
finish
