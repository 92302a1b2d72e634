#!/bin/sh
# soak.sh [SECONDS]: the verifying workload with 16 threads and concurrent forks
# at half, a quarter and an eighth of its memory, over and over. Not one of the
# tests of every day: `make soak` runs it for ten minutes, also on a supervisor
# built with a sanitizer, whose findings end the run with another status.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway

TSAN_OPTIONS="suppressions=$here/../tsan.supp ${TSAN_OPTIONS:-}"
UBSAN_OPTIONS="halt_on_error=1 suppressions=$here/../ubsan.supp ${UBSAN_OPTIONS:-}"
export TSAN_OPTIONS UBSAN_OPTIONS

seconds=${1:-600}
size=192
end=$(($(date +%s) + seconds))
rounds=0
session_timeout=600 # under a sanitizer, beside others

while [ "$(date +%s)" -lt "$end" ]; do
	for command in forks unmap mremap basic; do
		for share in 2 4 8; do
			[ "$(date +%s)" -lt "$end" ] || break 3
			session "$command-share$share-$rounds" \
				$((size / share))M --swap zram:2G -- \
				"$workload" -s $size -t 16 -r 1 --dir "$tmp" \
				"$command"
			check_session 0
		done
	done
	rounds=$((rounds + 1))
	[ "$failures" = 0 ] || break
done
echo "soak: $rounds whole rounds"
finish
