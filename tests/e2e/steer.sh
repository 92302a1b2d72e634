#!/bin/sh
# steer.sh: a running session is steered and looked at. Its budget shrinks and
# grows under programs that check every byte, and is kept; memory is reclaimed,
# and is really gone; what is counted is what was done; swap is checked while
# everybody is at work; and what cannot be is refused with a reason.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need awk python3 mkfifo

name=e2e-steer-$$

# ---- sessions in the background ----

# start SESSION BUDGET OPTION... -- COMMAND...: until its end.
start() {
	session=$1
	budget=$2
	shift 2
	rm -f "$tmp/$session.json"
	"$tool" clean timeout -k 5 120 "$SPILLWAY" run -m "$budget" \
		--name "$name" --report "$tmp/$session.json" "$@" \
		>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
	supervisor=$!
	until_true is_running || fail "$session: cannot be talked to"
}

end() {
	wait $supervisor
	rc=$?
}

# says STATUS PATTERN COMMAND [ARG]...: all of what it says, as one line.
says() {
	want=$1
	pattern=$2
	shift 2
	say "$@"
	said=$(printf '%s\n' "$said" | tr '\n' '|')
	is_said "$want" "^$pattern|\$" "$session: $*"
}

# stat NAME: what the session says of it now.
stat() {
	"$SPILLWAY" stat -s "$name" | awk -v name="$1" '$1 == name { print $2 }'
}

# at_least NAME NUMBER
at_least() {
	[ "$(stat "$1")" -ge "$2" ]
}

# anon_kib: anonymous memory of the programs.
anon_kib() {
	"$tool" procs "$mark" | while read -r pid _ _ comm; do
		case $comm in
		spillway*) ;;
		*) cat "/proc/$pid/smaps_rollup" 2>/dev/null ;;
		esac
	done | awk '/^Pss_Anon:/ { sum += $2 } END { print sum + 0 }'
}

# kept MIB: the programs have no more than that, as far as is promised.
kept() {
	kib=$(anon_kib)
	[ "$kib" -le $(($1 * 1024 * 105 / 100 + 8192)) ] ||
		fail "$session: $kib KiB in a budget of $1 MiB"
}

M='[0-9.]*[KM]'

# ---- one that waits, with so many MiB: what it counts is what we do ----
cat >"$tmp/waits.py" <<'EOF'
import mmap, os, sys
n = int(sys.argv[2]) << 8
m = mmap.mmap(-1, n << 12, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for i in range(n):
    m[i << 12:(i << 12) + 64] = os.urandom(56) + i.to_bytes(8, "little")
print("READY", flush=True)
while open(sys.argv[1]).read() != "end\n":
    pass
for i in range(n):
    assert m[(i << 12) + 56:(i << 12) + 64] == i.to_bytes(8, "little"), "MISMATCH"
EOF
mkfifo "$tmp/fifo"
start waits 256M --swap zram:128M -- python3 "$tmp/waits.py" "$tmp/fifo" 48
until_true grep -q READY "$tmp/waits.out" || fail "waits: never ready"

# Far from its budget nothing is managed yet; that is no reason to refuse.
before=$(anon_kib)
[ "$(stat resident_bytes)" = 0 ] || fail "waits: managed already"
says 0 "reclaimed 16[0-9.]*M" reclaim 16M
after=$(anon_kib)
[ $((before - after)) -ge $((15 << 10)) ] ||
	fail "waits: of $before KiB there are $after after 16M were reclaimed"

# Exactly what was taken is counted, out and back.
"$SPILLWAY" stat -s "$name" --json >"$tmp/one"
"$SPILLWAY" reclaim -s "$name" --json 8M >"$tmp/reclaimed"
"$SPILLWAY" stat -s "$name" --json >"$tmp/two"
says 1 "reclaimed $M|spillway: only $M of 2G could be reclaimed: the rest is in use, locked, pinned or shared" \
	reclaim 2G
"$SPILLWAY" stat -s "$name" --json >"$tmp/three"
[ "$(anon_kib)" -lt 8192 ] ||
	fail "waits: $(anon_kib) KiB are left of all that was reclaimed"
"$SPILLWAY" stat -s "$name" >"$tmp/text"
python3 - "$tmp" <<'EOF' || fail "waits: counters are not what was done"
import json, sys
one, two, three, done = (json.load(open(sys.argv[1] + "/" + f))
                         for f in ("one", "two", "three", "reclaimed"))
def moved(a, b, what):
    return b["counters"][what] - a["counters"][what]
def more(a, b, what):
    return (b["memory"][what] - a["memory"][what]) // 4096
pages = done["reclaimed_bytes"] // 4096
assert done["why"] is None and done["wanted_bytes"] == 8 << 20, done
assert 2048 <= pages <= 2048 + 256, done
stolen = moved(one, two, "pgsteal")
assert stolen == pages, (stolen, pages)
assert more(one, two, "resident_bytes") == -stolen
written = moved(one, two, "pswpout") + moved(one, two, "swpout_zero")
assert written == pages, (written, pages)
assert more(one, two, "swapped_bytes") >= 0
assert moved(one, three, "pgfault") == 0 and moved(one, three, "pswpin") == 0
for s in (one, two, three):
    m = s["memory"]
    assert m["budget_bytes"] == 256 << 20 and m["swap_bytes"] == 128 << 20, m
    assert m["full"] is False and m["frozen"] is False, m
lines = [line.split() for line in open(sys.argv[1] + "/text")]
text = dict(line for line in lines if len(line) == 2)
assert {k: int(v) for k, v in text.items() if k in three["counters"]} == three["counters"]
assert int(text["swapped_bytes"]) == three["memory"]["swapped_bytes"]
assert list(text) == list(three["memory"]) + list(three["counters"])
stall = {line[0]: dict(field.split("=") for field in line[1:])
         for line in lines if len(line) > 2}
assert list(stall) == ["some", "full"] + [
    "latency_" + tier for tier in three["stall"]["latency"]], stall
for name in ("some", "full"):
    assert list(stall[name]) == ["avg10", "avg60", "avg300", "total"], stall
    assert int(stall[name]["total"]) == three["stall"][name]["total_us"]
for tier, told in three["stall"]["latency"].items():
    said = {k: float(v) for k, v in stall["latency_" + tier].items()}
    assert said == told, (said, told)
faults = sum(tier["count"] for tier in three["stall"]["latency"].values())
assert faults <= three["counters"]["pgfault"], (faults, three["counters"])
EOF

# Lines: since the start, and then nothing happens.
says 0 " *stall  *used  *staged  *swap  *pgfault  *pgmajfault  *pswpin  *pswpout  *pgscan  *pgsteal|  *[0-9]*%\( *$M\| *0\)\{3\}  *[0-9]*  *0  *0  *[1-9][0-9]*  *[1-9][0-9]*  *[1-9][0-9]*|  *0%\( *$M\| *0\)\{3\}\(  *0\)\{6\}" \
	stat -i 0.2 -n 2
"$SPILLWAY" stat -s "$name" -i 0.3 -n 3 --json >"$tmp/lines" ||
	fail "waits: stat -i --json: status $?"
python3 - "$tmp/lines" "$tmp/three" <<'EOF' || fail "waits: rates are wrong"
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
counters = json.load(open(sys.argv[2]))["counters"]
assert len(lines) == 3, lines
first = lines[0]
assert first["interval_seconds"] == first["seconds"] > 0
for what, n in counters.items():
    got = first["per_second"][what] * first["seconds"]
    assert abs(got - n) < 0.001 * n + 0.01, (what, got, n)
for last, line in zip(lines, lines[1:]):
    assert 0.25 < line["interval_seconds"] < 3, line
    assert not any(line["per_second"].values()), line
EOF

# On a terminal the heading comes again with each screen.
python3 - "$SPILLWAY" "$name" <<'EOF' || fail "waits: stat on a terminal"
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if not pid:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("4H", 8, 80, 0, 0))
    os.execv(sys.argv[1], ["spillway", "stat", "-s", sys.argv[2],
                           "-i", "0.1", "-n", "13"])
said = b""
try:
    while got := os.read(fd, 4096):
        said += got
except OSError:
    pass
assert os.waitpid(pid, 0)[1] == 0
lines = said.decode().split("\r\n")[:-1]
assert [i for i, l in enumerate(lines) if "pgfault" in l] == [0, 7, 14], lines
assert len(lines) == 16, lines
EOF

# Frozen: looked at, not reclaimed.
says 0 "frozen: .*" freeze
says 1 "spillway: the session is frozen; thaw it first" reclaim 1M
says 0 "OK; paging stood still for [0-9.]* ms" debug check
[ "$(stat frozen)" = 1 ] || fail "waits: not frozen by stat"
says 0 "" thaw

# Watched until it ends: all of it comes back, and is right.
"$SPILLWAY" stat -s "$name" -i 0.1 >"$tmp/watched" 2>&1 &
watcher=$!
until_true grep -q pgfault "$tmp/watched"
echo end >"$tmp/fifo"
end
wait $watcher || fail "waits: stat -i says $? at the end: $(cat "$tmp/watched")"
check_session 0
"$tool" json "$tmp/waits.json" counters.pgsteal >/dev/null

# ---- another budget, under programs that check every byte ----
start busy 96M --swap zram:512M --swap "file:$tmp,size=256M" --zswap 32M -- \
	"$workload" -s 160 -t 2 --seconds 14 churn
until_true at_least pswpout 1000 || fail "busy: nothing goes out"
for turn in 1 2; do
	says 0 "budget 24M, was 96M; [12][0-9.]*M in use" set -m 24M
	kept 24
	says 0 "budget 64M, was 24M; [0-9.]*M in use" set -m 64M
	says 0 "OK; paging stood still for [0-9.]* ms" debug check
	until_true at_least used_bytes $((48 << 20)) ||
		fail "busy: it does not use a larger budget"
	kept 64
	says 0 '{|  "budget_bytes": 100663296,|  "used_bytes": [0-9]*,|  "was_bytes": 67108864|}' \
		set --json -m 96M
done
for turn in 1 2 3 4 5 6 7 8; do
	says 0 '{|  "broken": 0,|  "text": "",|  "held_seconds": [0-9.e-]*|}' \
		debug check --json
done
say debug dump
for line in "^session $name, pid " "^device 0 zram0 prio -1: [0-9]* of 131072" \
	"^  257 clusters of 512 slots" "^device 1 file:" "^zswap: [0-9]* pages" \
	"^budget 24576 pages, used " "^staging: " "^space 1: [0-9]* pages res" \
	"^  owed [0-9]* unmaps"; do
	printf '%s\n' "$said" | grep -q -e "$line" ||
		fail "busy: the dump has no line like '$line': $said"
done

# Everything at once, and a device that goes.
"$SPILLWAY" off -s "$name" zram0 >"$tmp/off" 2>&1 &
going=$!
for turn in 1 2 3 4; do
	"$SPILLWAY" reclaim -s "$name" 8M >/dev/null 2>&1
	"$SPILLWAY" set -s "$name" -m $((40 + turn * 8))M >/dev/null 2>&1 ||
		fail "busy: a budget is refused while a device goes"
	say debug check
	case $said in
	OK*) ;;
	*"coming or going"*) ;;
	*) fail "busy: check says $said" ;;
	esac
done
wait $going || fail "busy: off says $(cat "$tmp/off")"

# Called off: it never gets that much out of a program that touches all of it.
# False where that one got no time to, so that there was nothing left to take.
called_off() {
	"$SPILLWAY" reclaim -s "$name" 4T >"$tmp/off" 2>&1 &
	caller=$!
	until say reclaim 1M && [ "$status-$said" = \
		"1-spillway: somebody else is reclaiming; one at a time" ]; do
		kill -0 $caller 2>/dev/null || break
	done
	kill -INT $caller 2>/dev/null
	wait $caller
	status=$?
	[ $status = 1 ] && grep -q "^spillway: called off; $M reclaimed until then$" "$tmp/off"
}
until_true called_off ||
	fail "busy: called off: status $status, $(cat "$tmp/off"); beside it: $said"

# The session ends while memory is wanted, and swap is checked.
"$SPILLWAY" reclaim -s "$name" 4T >"$tmp/off" 2>&1 &
caller=$!
while "$SPILLWAY" debug check -s "$name" >"$tmp/checked" 2>&1; do :; done
grep -q -e "^spillway: no session " -e "^spillway: the session ended before" \
	"$tmp/checked" || fail "busy: the last check says $(cat "$tmp/checked")"
wait $caller
status=$?
[ $status = 1 ] && [ -s "$tmp/off" ] ||
	fail "busy: reclaim at the end: status $status, $(cat "$tmp/off")"
end
check_session 0
[ "$("$tool" json "$tmp/busy.json" budget_bytes)" = $((72 << 20)) ] ||
	fail "busy: the report has another budget than the last one"

# ---- what swap cannot hold is refused ----
start full 96M --swap zram:16M -- python3 "$tmp/waits.py" "$tmp/fifo" 64
until_true grep -q READY "$tmp/full.out" || fail "full: never ready"
says 1 "spillway: a budget of 16M is too small: $M more would have to go to swap, which has 16M free; turn another device on first" \
	set -m 16M
[ "$(stat budget_bytes)" = $((96 << 20)) ] || fail "full: refused, and yet set"
says 125 "spillway: -m 4M: too small to run anything in; the minimum is 8M" \
	set -m 4M
says 1 "reclaimed 1[0-9.]*M|spillway: only $M of 60M could be reclaimed: swap is full" \
	reclaim 60M
says 0 "zram1: on" on zram:64M
# One that was never managed shrinks as well.
says 0 "budget 24M, was 96M; [12][0-9.]*M in use" set -m 24M
kept 24
echo end >"$tmp/fifo"
end
min_pswpout=100 check_session 0

# ---- killed: whoever watches is told ----
start killed 64M --swap zram: -- python3 "$tmp/waits.py" "$tmp/fifo" 16
"$SPILLWAY" stat -s "$name" -i 0.1 >"$tmp/watched" 2>&1 &
watcher=$!
until_true grep -q pgfault "$tmp/watched"
kill -KILL "$("$tool" procs "$mark" spillway | awk -v me="$watcher" \
	'$1 != me { print $1; exit }')"
wait $watcher
status=$?
[ $status = 1 ] && grep -q "the session ended before it had answered" "$tmp/watched" ||
	fail "killed: stat says $status: $(cat "$tmp/watched")"
end
finish
