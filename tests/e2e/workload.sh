#!/bin/sh
# workload.sh SUBCOMMAND: the verifying workload at half, a quarter and an
# eighth of its memory, with one thread and with four.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

command=${1:?which subcommand}
test_name=$command
size=128

# operands THREADS: what follows the subcommand. With threads that page all
# the time each fork takes milliseconds, so there are fewer.
operands() {
	[ "$command" = manyforks ] || [ "$command" = advice ] || return 0
	case $command-$1-$level in
	advice-*) echo heeded ;;
	manyforks-1-1) echo 600 ;;
	manyforks-1-*) echo 3000 ;;
	manyforks-*-1) echo 150 ;;
	*) echo 600 ;;
	esac
}

for threads in 1 4; do
	for share in 2 4 8; do
		start=$(date +%s%N)
		# shellcheck disable=SC2046
		session "$command-t$threads-share$share" \
			$((size / share))M --swap zram:1G -- \
			"$workload" -s $size -t $threads -r "$level" \
			--dir "$tmp" "$command" $(operands $threads)
		check_session 0
		end=$(date +%s%N)
		echo "$session: $(((end - start) / 1000000)) ms," \
			"$(counter pswpout) out, $(counter pswpin) in"
	done
done
finish
