#!/bin/sh
# Memory that must not move, locked or pinned by I/O, stays and nothing else is
# kept in memory for it; and when nothing else is left, reclaim does not spin.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need awk
need_spillway

# within THREADS MIB: is the peak? When all CPUs are busy a fork may cost a small
# budget more than that, once in a while: then it is tried again.
within() {
	bound=$(($2 * 1048576 * 21 / 20 + (8 << 20)))
	for try in 1 2 3; do
		session "lock-t$1-$2M-$try" "$2M" --swap zram:1G -- \
			"$workload" -s 64 -t "$1" -r "$level" lock
		check_session 0
		peak=$("$tool" json "$tmp/$session.json" peak_bytes)
		echo "$session: peak $((peak >> 10)) KiB"
		[ "$peak" -gt $bound ] || return 0
	done
	return 1
}

for threads in 1 4; do
	for mib in 32 16 8; do
		within $threads $mib ||
			fail "$session: peak of $peak bytes, bound $bound"
	done
done

# hold SECONDS: 64 MiB that cannot go in a budget of 32. Sets $cpu, what agents
# and supervisor took of it.
hold() {
	session "hold-$1" 32M --swap zram:1G -- \
		"$workload" -s 64 --seconds "$1" hold
	check_session 0
	cpu=$(for who in supervisor agent; do
		"$tool" json "$tmp/$session.json" cpu.${who}_seconds
	done | awk '{ sum += $1 } END { print int(sum * 1000) }')
	[ "$(counter move_refused)" -gt 1000 ] ||
		fail "$session: only $(counter move_refused) pages refused"
}

hold 1
short=$cpu
hold 5
echo "hold: $((cpu - short)) ms of CPU in 4 s"
[ $((cpu - short)) -le 1500 ] ||
	fail "hold: $((cpu - short)) ms of CPU in 4 s in which nothing can be done"
finish
