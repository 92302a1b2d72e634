#!/bin/sh
# metrics.sh: a session under pressure is asked for its metrics, by a client that
# is strict, and by others that are slow, mad or many. What is told agrees with
# itself and with the report at the end, and nothing is left behind.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need python3

metrics() {
	python3 "$here/metrics.py" "$@"
}

metrics self-test || fail "the checker does not find what is wrong"

# Pages back and forth, says so, and waits for a line without touching anything.
mkfifo "$tmp/go"
cat >"$tmp/one" <<'END'
exec python3 - "$1" <<'PYTHON'
import os, sys
b = bytearray(48 << 20)
for i in range(0, len(b), 1 << 20):
    b[i : i + (1 << 20)] = os.urandom(1 << 20)
for rounds in range(3):
    for i in range(0, len(b), 4096):
        b[i] = (b[i] + 1) & 255
open(sys.argv[1] + "/rests", "w").close()
open(sys.argv[1] + "/go").read()
PYTHON
END

# start SESSION ADDRESS [OPTION...]: until go_on.
start() {
	session=$1
	address=$2
	shift 2
	rm -f "$tmp/rests" "$tmp/$session.json"
	"$tool" clean timeout -k 5 90 \
		"$SPILLWAY" run -m 24M --metrics "$address" \
		--report "$tmp/$session.json" "$@" -- sh "$tmp/one" "$tmp" \
		>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
	supervisor=$!
}

until_true() {
	tries=1500
	until eval "$1"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.02
	done
}

rests() {
	until_true '[ -e "$tmp/rests" ]' || fail "$session: never came to rest"
}

# go_on: the program ends, and the session with it.
go_on() {
	echo go >"$tmp/go"
	wait $supervisor
	rc=$?
	check_session 0
}

# value SAMPLE, of the text in $tmp/text.
value() {
	awk -v sample="$1" '$1 == sample { print $2 }' "$tmp/text"
}

# Every fault is in one tier, or was not answered.
check_sums() {
	metrics get "$address" >"$tmp/text" || fail "$session: metrics are wrong"
	answered=$(awk '/^spillway_fault_seconds_count/ { n += $2 }
		END { print n }' "$tmp/text")
	others=$(awk '/^spillway_(retried|held|late)_faults_total/ { n += $2 }
		END { print n }' "$tmp/text")
	total=$(value spillway_faults_total)
	[ "$((answered + others))" = "$total" ] ||
		fail "$session: $total faults, but $answered + $others"
}

# ---- a socket file, where a dead session left one ----

python3 -c 'import socket, sys
socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$tmp/m"
[ -S "$tmp/m" ] || fail "no stale socket to begin with"
start unix "unix:$tmp/m" --swap zram:128M --swap "file:$tmp,size=64M,prio=9" \
	--zswap 4M
until_true 'metrics get "$address" >"$tmp/first" 2>"$tmp/why"' ||
	fail "nobody answers: $(cat "$tmp/why")"

# Clients of all kinds while the session pages.
python3 - "$tmp/m" <<'END' || fail "a hostile client was served wrongly"
import os, random, socket, sys

def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect(sys.argv[1])
    s.settimeout(20)
    return s

def ask(data):
    with connect() as s:
        try:
            s.sendall(data)
        except OSError:
            pass
        return b"".join(iter(lambda: s.recv(65536), b""))

idle = [connect() for _ in range(40)]
slow = connect()
slow.sendall(b"GET /met")
get = b" HTTP/1.1\r\nHost: x\r\n\r\n"
for data, status in [
    (b"GET /metrics" + get, b"200"),
    (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", b"200"),
    (b"HEAD /metrics" + get, b"200"),
    (b"POST /metrics" + get, b"405"),
    (b"GET /metric" + get, b"404"),
    (b"GET /metrics/" + get, b"404"),
    (b"GET /" + get, b"404"),
    (b"GET /metrics HTTP/2.0\r\n\r\n", b"505"),
    (b"GET /metrics\r\n\r\n", b"400"),
    (b"GET\0 /metrics" + get, b"400"),
    (b"\r\n\r\n", b"400"),
    (b" / HTTP/1.1\r\n\r\n", b"400"),
    (b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 5000, b"431"),
]:
    answer = ask(data)
    if not answer.startswith(b"HTTP/1.1 " + status + b" "):
        sys.exit(f"{data[:40]!r}: {answer[:60]!r}")
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    if data.startswith(b"HEAD"):
        if body or not length:
            sys.exit("HEAD has a body, or no length")
    elif len(body) != length:
        sys.exit(f"{data[:40]!r}: {len(body)} bytes, not {length}")
rng = random.Random(5)
for _ in range(200):
    with connect() as s:
        junk = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300)))
        try:
            s.sendall(junk + b"\r\n\r\n" * rng.randrange(2))
        except OSError:
            pass
if not ask(b"GET /metrics" + get).startswith(b"HTTP/1.1 200 "):
    sys.exit("no answer after that")
# Who says nothing is sent away in a few seconds.
for s in idle + [slow]:
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
END

rests
check_sums
before=$(value spillway_faults_total)
for sample in spillway_faults_total spillway_swapin_pages_total \
	spillway_swapout_pages_total spillway_reclaimed_pages_total \
	'spillway_fault_seconds_count{tier="compressed"}' \
	'spillway_device_used_bytes{device="zram0",kind="zram",type="0"}'; do
	grep -qF "$sample " "$tmp/text" || fail "unix: no $sample"
	case $sample in
	*used*) ;;
	*) [ "$(value "$sample")" -gt 0 ] || fail "unix: $sample is 0" ;;
	esac
done
[ "$(value spillway_budget_bytes)" = $((24 << 20)) ] || fail "unix: the budget"
awk '$1 ~ /stall_seconds_total.*some/ { s = $2 } $1 ~ /stall_seconds.*full/ { f = $2 }
	END { exit !(s > 0 && f <= s) }' "$tmp/text" || fail "unix: no stalls"
sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$tmp/text" | while read -r name; do
	grep -qw "$name" "$here/../../man/spillway-metrics.7" || echo "$name"
done >"$tmp/missing"
[ ! -s "$tmp/missing" ] || fail "not in the manual: $(cat "$tmp/missing")"
# Nothing is done, and nothing moves.
check_sums
[ "$(value spillway_faults_total)" = "$before" ] ||
	fail "unix: $before faults at rest became $(value spillway_faults_total)"

# Whoever else wants the address is refused, and harms nothing.
for wants in "unix:$tmp/m" "unix:$tmp/one"; do
	"$SPILLWAY" run -m 16M --metrics "$wants" -- true 2>"$tmp/why"
	[ $? = 125 ] && [ "$(wc -l <"$tmp/why")" = 1 ] ||
		fail "$wants was not refused: $(cat "$tmp/why")"
done
[ -f "$tmp/one" ] || fail "a file that is no socket was replaced"
metrics get "$address" >"$tmp/text" || fail "unix: no answer after that"
go_on
[ ! -e "$tmp/m" ] || fail "unix: the socket is left"
for name in first_touch staged compressed disk write other; do
	"$tool" json "$tmp/unix.json" "latency.$name.count"
done >"$tmp/counts"
answered=$(awk '{ n += $1 } END { print n }' "$tmp/counts")
others=$(($(counter pgfault_retry) + $(counter pgfault_held) + \
	$(counter swap_read_late)))
[ "$((answered + others))" = "$(counter pgfault)" ] ||
	fail "unix: the report has $(counter pgfault) faults, but $answered + $others"
[ "$("$tool" json "$tmp/unix.json" stall.some_us)" -gt 0 ] ||
	fail "unix: the report has no stalls"
enough=$("$tool" json "$tmp/unix.json" enough_bytes)
[ "$enough" -gt $((48 << 20)) ] && [ "$enough" -lt $((80 << 20)) ] ||
	fail "unix: 48M and a python would have had enough with $enough"

# ---- the supervisor is killed, and another session takes its place ----

min_pswpout=0
start killed "unix:$tmp/m"
until_true 'metrics get "$address" >"$tmp/text" 2>/dev/null' ||
	fail "killed: nobody answers"
rests
pid=$("$tool" procs "$mark" spillway | awk 'NR == 1 { print $1 }')
kill -KILL "$pid"
wait $supervisor
"$tool" gone "$mark" 5 >/dev/null || fail "killed: processes are left"
start again "unix:$tmp/m"
until_true 'metrics get "$address" >"$tmp/text" 2>/dev/null' ||
	fail "again: nobody answers"
rests
go_on
[ ! -e "$tmp/m" ] || fail "again: the socket is left"

# ---- a port of the machine itself ----

for host in 127.0.0.1 127.3.2.1; do
	port=$(python3 -c 'import socket, sys
s = socket.socket(); s.bind((sys.argv[1], 0)); print(s.getsockname()[1])' $host)
	start "tcp-$host" "tcp:$host:$port"
	until_true 'metrics get "$address" >"$tmp/text" 2>/dev/null' ||
		fail "tcp: nobody answers at $address"
	rests
	check_sums
	"$SPILLWAY" run -m 16M --metrics "$address" -- true 2>"$tmp/why"
	[ $? = 125 ] || fail "tcp: a second one at $address"
	go_on
done
finish
