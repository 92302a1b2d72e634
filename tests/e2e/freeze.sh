#!/bin/sh
# Sessions that are put aside: their memory is gone, compressed memory too,
# nothing comes back until the thaw, and then everything is as it was. One that
# thaws by itself, one that is killed, and what is refused.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need awk python3 mkfifo
[ "$(stat -f -c %T "$tmp")" != tmpfs ] || skip "$tmp is memory, no disk"

name=freeze.$$

# start NAME COMMAND...: a session in the background, until it says READY.
start() {
	session=$1
	shift
	rm -f "$tmp/$session.json"
	: >"$tmp/$session.out"
	# shellcheck disable=SC2086
	"$SPILLWAY" run -m 24M --name "$name" \
		${swap:---swap zram:256M,prio=5 --swap file:$tmp,size=256M,prio=1} \
		--report "$tmp/$session.json" -- "$@" \
		>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
	supervisor=$!
	until_true grep -q READY "$tmp/$session.out" ||
		fail "$session: never ready"
}

# end: waits for the session that was started.
end() {
	wait_at_most 60 $supervisor
}

# anon_kib: anonymous memory of the whole tree, supervisor and all.
anon_kib() {
	"$tool" procs "$mark" | while read -r pid _; do
		cat "/proc/$pid/smaps_rollup" 2>/dev/null
	done | awk '/^Pss_Anon:/ { sum += $2 } END { print sum + 0 }'
}

freeze() {
	"$SPILLWAY" freeze -s "$name" "$@" >"$tmp/frozen" 2>&1 ||
		fail "$session: freeze: $(cat "$tmp/frozen")"
}

thaw() {
	"$SPILLWAY" thaw -s "$name" || fail "$session: cannot be thawed"
}

# refused COMMAND LINE: with status 1, and only that line.
refused() {
	# shellcheck disable=SC2086
	said=$("$SPILLWAY" $1 -s "$name" 2>&1)
	[ $? = 1 ] && [ "$said" = "spillway: $2" ] ||
		fail "$session: $1 says: $said"
}

# ---- there and back, while it works ----
# No forks: a child that was born a moment ago has no agent yet to take it out.
cat >"$tmp/works.py" <<'EOF'
import threading, time
words = [b"%d" % i * 300 for i in range(28000)]
print("READY", flush=True)
end = time.monotonic() + 6
wrong = []
def work(first):
    while time.monotonic() < end:
        for i in range(first, len(words), 2):
            if words[i] != b"%d" % i * 300:
                wrong.append(i)
threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
for t in threads: t.start()
for t in threads: t.join()
assert not wrong, "MISMATCH"
EOF
start worked python3 "$tmp/works.py"
refused thaw "the session is not frozen, or about to be thawed"
full=$(anon_kib)
freeze
left=$(anon_kib)
refused freeze "the session is frozen already, or about to be"
refused "off zram0" "the session is frozen; thaw it first"
[ "$full" -gt 24000 ] || fail "worked: only $full KiB before"
[ "$left" -lt 12000 ] || fail "worked: $left of $full KiB are in memory still"
echo "worked: $full KiB before, $left KiB frozen; $(cat "$tmp/frozen")"
grep -q "^frozen: .*M from compressed memory" "$tmp/frozen" ||
	fail "worked: says $(cat "$tmp/frozen")"
thaw
freeze
thaw
end
check_session 0
[ "$(counter pgfault_held)" -gt 0 ] || fail "worked: nobody had to wait"

# ---- compressed pages in front of the disk ----
swap="--zswap 8M --swap file:$tmp,size=256M" start pooled \
	python3 "$tmp/works.py"
freeze
left=$(anon_kib)
[ "$left" -lt 12000 ] || fail "pooled: $left KiB are in memory still"
thaw
end
check_session 0
[ "$(counter zswpwb)" -gt 0 ] || fail "pooled: nothing was written back"

# ---- by itself ----
mkfifo "$tmp/fifo"
cat >"$tmp/waits.py" <<'EOF'
import os, sys
words = [b"%d" % i * 300 for i in range(9000)]
print("READY", os.getpid(), flush=True)
open(sys.argv[1]).read()
for i, w in enumerate(words):
    assert w == b"%d" % i * 300, "MISMATCH"
EOF
start woken python3 "$tmp/waits.py" "$tmp/fifo"
freeze --thaw-on-fault
echo go >"$tmp/fifo"
end
check_session 0
refused thaw "no session '$name' of yours is running; it is a pid of 'spillway run' or what --name gave it"

# ---- killed meanwhile ----
start killed python3 "$tmp/waits.py" "$tmp/fifo"
freeze
read -r _ target _ <"$tmp/killed.out"
kill -KILL "$target"
end
[ $rc = 137 ] || fail "killed: status $rc, not 137"
check_clean
start orphaned "$workload" -s 20 --seconds 60 churn
freeze
kill -KILL $supervisor
end
left=$("$tool" gone "$mark" 3) || fail "orphaned: left behind: $left"
rest=$(find "$tmp" -maxdepth 1 -type f -size +1M)
[ -z "$rest" ] || fail "files left: $rest"

finish
