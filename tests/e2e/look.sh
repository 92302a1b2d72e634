#!/bin/sh
# look.sh: what ps and map say of running sessions, as text, JSON and SVG. The
# sessions are frozen when numbers are compared: nothing moves then.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need python3

name=e2e-look-$$
disk=$tmp/disk
mkdir "$disk"

# start SUFFIX BUDGET MIB OPTION...: a session with so much memory in it, which
# it touches until the file stop is there.
start() {
	suffix=$1
	budget=$2
	mib=$3
	shift 3
	"$tool" clean timeout -k 5 100 "$SPILLWAY" run -m "$budget" \
		--name "$name$suffix" "$@" -- \
		python3 "$here/body.py" "$tmp/stop" "$mib" \
		>"$tmp/run$suffix.out" 2>&1 </dev/null &
	until_true is_running "$name$suffix" ||
		fail "$name$suffix cannot be talked to"
}

is_running() {
	"$SPILLWAY" show -s "$1" >/dev/null 2>&1
}

used() {
	"$SPILLWAY" show -s "$1" --raw --bytes --noheadings |
		awk -v name="$2" '$1 == name { n = $4 } END { print n + 0 }'
}

# faulted SESSION NUMBER: its only process, so often at least.
faulted() {
	[ "$("$SPILLWAY" ps -s "$1" --raw --noheadings |
		awk '{ print $5 }')" -gt "$2" ]
}

holds() {
	[ "$(used "$1" "$2")" -ge "$3" ]
}

# says STATUS PATTERN COMMAND...
says() {
	want=$1
	pattern=$2
	shift 2
	said=$("$SPILLWAY" "$@" 2>&1)
	status=$?
	is_said "$want" "$pattern" "$*"
}

# python CODE: what a command said as JSON is in `d`.
python() {
	printf '%s' "$said" | python3 -c "import json, sys
d = json.load(sys.stdin)
$1" || fail "JSON: $1"
}

# ---- nobody there, and words that make no sense ----
says 1 "no session '$name' of yours is running" ps -s "$name"
says 1 "no session '$name' of yours is running" map -s "$name" zram0
says 125 "'x' is one word too many" ps x
says 125 "no device given" map
says 125 "'b' is one word too many" map a b
says 125 "two forms; choose one" map --json --svg - zram0
says 125 "no option '--raw'" map --raw zram0

# ---- two sessions ----
start a 16M 48 --swap zram:96M,prio=5 --swap "file:$disk,size=32M,prio=7"
start b 64M 8 --swap zram:16M
until_true holds "${name}a" zram0 8388608 || fail "nothing goes to zram0"
until_true faulted "${name}a" 1000 || fail "nothing comes back"

# All of them, each line with its session.
# Sessions of others may be of another version, or end meanwhile: no status.
said=$("$SPILLWAY" ps 2>/dev/null)
printf '%s\n' "$said" | head -n 1 |
	grep -q "^SESSION *PID *RESIDENT *SWAPPED *FAULTS *STALLED *MANAGED *COMMAND$" ||
	fail "ps has other columns: $said"
for suffix in a b; do
	printf '%s\n' "$said" | grep -q "^$name$suffix  *[0-9]* .*body.py $tmp/stop" ||
		fail "ps has no line of $name$suffix: $said"
done
says 0 "^${name}a [0-9]* [0-9]* [0-9]* [0-9]* [0-9]*\.[0-9][0-9] yes .*body.py.x20$tmp/stop.x2048$" \
	ps -s "${name}a" --raw --bytes --noheadings
[ "$(printf '%s\n' "$said" | wc -l)" = 1 ] || fail "not one line: $said"
says 0 . ps -s "${name}b" --json --bytes
python "
(p,) = d['processes']
assert p['session'] == '${name}b' and p['managed'] is False, p
assert p['swapped'] == 0 and p['faults'] == 0 and p['resident'] > 8 << 20, p
assert p['command'].endswith('body.py $tmp/stop 8'), p"

# ---- what stands still is what other eyes see ----
"$SPILLWAY" freeze -s "${name}a" || fail "cannot be frozen"
says 0 . ps -s "${name}a" --json --bytes
python "
(p,) = d['processes']
status = open(f\"/proc/{p['pid']}/status\").read()
rss = int(status.split('RssAnon:')[1].split()[0]) << 10
# 64 KiB: the kernel counts for each CPU and adds up later.
assert abs(p['resident'] - rss) <= 1 << 18, (p, rss)
assert p['managed'] is True and p['faults'] > 1000 and p['stalled'] > 0, p
assert p['resident'] < 16 << 20 and p['swapped'] > 44 << 20, p"

# Counts of clusters are those of the device, and what is used is what show says.
for device in zram0 "file:$disk"; do
	bytes=$(used "${name}a" "$device")
	[ "$bytes" -gt 1048576 ] || fail "$device holds only $bytes bytes"
	says 0 . map -s "${name}a" --json "$device"
	python "
assert d['session'] == '${name}a' and d['device'] == '$device', d
assert d['used_bytes'] == $bytes, (d['used_bytes'], $bytes)
assert sum(c['clusters'] for c in d['counts']) == d['clusters'], d
assert sum(c['clusters'] for c in d['cells']) == d['clusters'], d
assert sum(c['used_bytes'] for c in d['counts']) == $bytes, d
assert sum(c['used_bytes'] for c in d['cells']) == $bytes, d
size = {'zram0': 96 << 20}.get('$device', 32 << 20)
assert d['cluster_bytes'] == 2 << 20 and d['bad_bytes'] == 0, d
assert size >> 21 <= d['clusters'] <= (size >> 21) + 1, d
for c in d['cells']:
    assert c['state'] != 'free' or c['used_bytes'] == 0, c
    assert c['state'] != 'full' or c['used_bytes'] >= (2 << 20) - 8192 \
        or c is d['cells'][-1], c"
done
clusters=$(printf '%s' "$said" | python3 -c \
	'import json, sys; print(json.load(sys.stdin)["clusters"])')

# As text: a character a cluster, and below as many as were counted.
says 0 "^file:$disk: $clusters clusters of 2M, " map -s "${name}a" "$disk"
printf '%s\n' "$said" | python3 -c '
import re, sys
text = sys.stdin.read()
marks = "".join(re.findall(r"^ *\d+  (\S+)$", text, re.M))
assert len(marks) == int(sys.argv[1]), text
counts = dict((m, int(n)) for m, n in re.findall(r"^  (\S) +(\d+)  ", text, re.M))
assert sum(counts.values()) == len(marks), text
for mark in set(marks) - {"~"}:
    assert marks.count(mark) == counts[mark], (mark, text)
' "$clusters" || fail "the picture is not what it counts: $said"

# As SVG, to a file and to standard output: well-formed, a square a cluster.
says 0 "^$" map -s "${name}a" --svg "$tmp/map.svg" zram0
"$SPILLWAY" map -s "${name}a" --svg - zram0 >"$tmp/stdout.svg" ||
	fail "map --svg -"
cmp -s "$tmp/map.svg" "$tmp/stdout.svg" || fail "two pictures of one device"
python3 - "$tmp/map.svg" <<'END' || fail "the SVG is not what it should be"
import sys, xml.etree.ElementTree as ET
svg = "{http://www.w3.org/2000/svg}"
root = ET.parse(sys.argv[1]).getroot()
assert root.tag == svg + "svg", root.tag
cells = root.findall(svg + "g")
assert len(cells) in (48, 49), len(cells)
assert all(c.find(svg + "title").text.startswith("cluster ") for c in cells)
text = "".join(root.itertext())
assert "zram0" in text and "free" in text and "http" not in text, text
END
says 125 "$tmp/none/map.svg: cannot be written: No such file or directory" \
	map -s "${name}a" --svg "$tmp/none/map.svg" zram0
says 1 "zram1: no such device is on; 'spillway show' lists them" \
	map -s "${name}a" zram1
"$SPILLWAY" map -s "${name}a" zram0 >/dev/full 2>/dev/null
[ $? = 125 ] || fail "map to a full disk: not 125"
"$SPILLWAY" ps >/dev/full 2>/dev/null
[ $? = 125 ] || fail "ps to a full disk: not 125"
"$SPILLWAY" thaw -s "${name}a" || fail "cannot be thawed"

touch "$tmp/stop"
wait
finish
