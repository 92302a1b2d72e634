#!/bin/sh
# The budget, measured from outside: once reached, the tree's anonymous memory
# stays within SIZE * 1.05 + 8 MiB at every sample, children included.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

# within NAME SIZE_MIB COMMAND...
within() {
	session=$1
	limit=$(($2 << 20))
	shift 2
	interruptible "$tool" clean timeout -k 5 200 "$sampler" -r -i 50 -l $limit -o "$tmp/sample" -- \
		"$SPILLWAY" run -m $limit --swap zram:2G \
		--report "$tmp/$session.json" -- "$@" \
		>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null
	rc=$?
	check_session 0
	read_sample
	bound=$((limit + limit / 20 + (8 << 20)))
	echo "$session: limit $((limit >> 10)) KiB, at most" \
		"$((after >> 10)) KiB in $samples samples, $torn torn"
	[ "$torn" -le "$samples" ] ||
		fail "$session: $torn samples torn, only $samples whole"
	[ "$after" -gt 0 ] || fail "$session: the limit was never reached"
	[ "$max" -le $bound ] ||
		fail "$session: $max bytes, limit $limit, bound $bound," \
			"in $above of $samples samples"
	inside=$("$tool" json "$tmp/$session.json" peak_bytes) || return
	[ "$((inside + limit / 20 + (8 << 20)))" -ge "$max" ] ||
		fail "$session: the report says $inside at most, we saw $max"
	check_own
}

# What is stored, or waits to be, is no memory of our own: more of it than
# this is there at every look; the books of a process are 1.5 % of its memory.
check_own() {
	own=$("$tool" json "$tmp/$session.json" own_peak_bytes) || return
	echo "$session: own memory $((own >> 10)) KiB"
	[ "$own" -ge $((1 << 20)) ] && [ "$own" -le $((16 << 20)) ] ||
		fail "$session: $own bytes of our own, 1 to 16 MiB expected"
}

read_sample() {
	samples=0 max=0 after=0 above=0 torn=0
	while read -r key number; do
		case $key in
		samples) samples=$number ;;
		max) max=$number ;;
		after) after=$number ;;
		above) above=$number ;;
		torn) torn=$number ;;
		esac
	done <"$tmp/sample"
}

rounds=$((5 * level))
for threads in 1 4; do
	within "basic-t$threads" 64 "$workload" -s 192 -t $threads \
		-r $rounds basic
	within "forks-t$threads" 48 "$workload" -s 192 -t $threads \
		-r $rounds forks
done

# A machine with more to do than CPUs: whoever takes memory out gets his turn.
hogs=
trap 'status=$?; [ -z "$hogs" ] || kill $hogs; cleanup; exit $status' EXIT
for hog in 1 2 3 4; do
	E2E_MARK=$mark.hog$hog timeout 60 sh -c 'while :; do :; done' &
	hogs="$hogs $!"
done
within busy 64 "$workload" -s 192 -r 1 basic
within busy-forks 48 "$workload" -s 192 -t 4 -r 1 forks
kill $hogs
hogs=

within churn 32 "$workload" -s 128 --seconds $((5 * level)) churn
within heap 64 "$workload" -s 192 -t 2 -r $rounds heap
within mremap 32 "$workload" -s 128 -r $rounds mremap
within spawn 48 "$workload" -s 192 -r $rounds spawn
finish
