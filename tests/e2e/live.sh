#!/bin/sh
# live.sh [SECONDS]: a running session is talked to. Its devices are listed, and
# turned off and on under programs that fork, exit and check every byte; that is
# refused with a reason, called off, interrupted; callers die and so do sessions.
# SECONDS: how long devices come and go; `make soak-live` gives it ten minutes.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need python3

seconds=${1:-8}
name=e2e-live-$$
session_timeout=$((seconds + 120))
disk=$tmp/disk
mkdir "$disk"

# ---- a session in the background ----

# Programs that fork and check what they wrote, one after the other.
cat >"$tmp/many" <<'END'
while [ ! -e "$1/stop" ]; do
	for command in basic forks; do
		"$2" -s "$3" -t 2 --dir "$1" "$command" || exit 1
	done
done
END
# One that has so many MiB all the time, and adds 1 to each page in turn.
cat >"$tmp/one" <<'END'
exec python3 - "$1/stop" "$3" <<'PYTHON'
import os, sys
b = bytearray(os.urandom(1 << 20) * int(sys.argv[2]))
was = bytes(b[::4096])
rounds = 0
while not os.path.exists(sys.argv[1]):
    for i in range(0, len(b), 4096):
        b[i] = (b[i] + 1) & 255
    rounds += 1
if b[::4096] != bytes((x + rounds) & 255 for x in was):
    sys.exit("MISMATCH")
PYTHON
END

# start SESSION MANY_OR_ONE BUDGET OPTION...: until the test ends it by
# finish_session.
start() {
	session=$1
	body=$tmp/$2
	budget=$3
	shift 3
	rm -f "$tmp/stop" "$tmp/$session.json"
	"$tool" clean timeout -k 5 "$session_timeout" \
		"$SPILLWAY" run -m "$budget" --name "$name" \
		--report "$tmp/$session.json" "$@" -- \
		sh "$body" "$tmp" "$workload" "$size" >"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
	supervisor=$!
	until_true "is_running" || fail "$session: cannot be talked to"
}

supervisor_pid() {
	"$tool" procs "$mark" spillway | awk 'NR == 1 { print $1 }'
}

finish_session() {
	touch "$tmp/stop"
	wait $supervisor
	rc=$?
	check_session 0
	say show
	[ "$status" = 1 ] || fail "$session: it is still found at the end"
}

# says STATUS PATTERN COMMAND [ARG]...
says() {
	want=$1
	pattern=$2
	shift 2
	say "$@"
	is_said "$want" "$pattern" "$session: $*"
}

# used DEVICE: bytes, 0 where there is no such device.
used() {
	"$SPILLWAY" show -s "$name" --raw --bytes --noheadings |
		awk -v name="$1" '$1 == name { n = $4 } END { print n + 0 }'
}

holds() {
	[ "$(used "$1")" -ge "$2" ]
}

# ---- what show says ----
size=48
start shown one 16M --swap zram:64M,prio=7 --swap "file:$disk,size=64M,prio=3"
until_true holds zram0 8388608 || fail "nothing goes to zram0"
says 0 "^NAME  *TYPE  *SIZE  *USED  *PRIO$" show
says 0 "^zram0  *zram  *64M  *[0-9.]*M  *7$" show
says 0 "^zram0 zram 67108864 [0-9]* 7$" show --bytes --raw --noheadings
[ "$(printf '%s\n' "$said" | wc -l)" = 2 ] || fail "not two lines: $said"
says 0 "^file:$disk  *file	*65532	*[0-9]*	*3$" show --proc
says 0 "^Filename	*Type	*Size	*Used	*Priority$" show --proc
"$SPILLWAY" show -s "$name" --json --bytes |
	python3 -c 'import json, sys
d = json.load(sys.stdin)["devices"]
assert d[0]["name"] == "zram0" and d[0]["size"] == 64 << 20, d
assert d[1]["prio"] == 3 and d[1]["type"] == "file", d' ||
	fail "show --json is not what it should be"
# The session is found by its pid, too.
pid=$(supervisor_pid)
"$SPILLWAY" show -s "$pid" >/dev/null || fail "not found by its pid $pid"

# ---- what cannot be ----
says 125 "no such kind of device" on disk:1G
says 125 "is no size" on zram:many
says 1 "say how large the file is to be" on file:/no/such/file
says 1 "no such device is on" off zram1
says 125 "no device given" off
"$SPILLWAY" run -m 16M --name "$name" -- true 2>"$tmp/twice.err"
[ $? = 125 ] && grep -q "another session has this name" "$tmp/twice.err" ||
	fail "two sessions have one name: $(cat "$tmp/twice.err")"
finish_session

# ---- the fast small one before the slow large one; equals take turns ----
size=64
start turns one 16M --swap zram:8M,prio=5 --swap zram:8M,prio=5 \
	--swap "file:$disk,size=128M,prio=1"
until_true holds "file:$disk" 4194304 || fail "nothing goes to the file"
for device in zram0 zram1; do
	holds $device 7000000 || fail "$device is not full: $(used $device)"
done
# What is on three devices fits into none of them, nor into the budget.
says 1 "cannot go off: what is on it fits neither" off "$disk"
says 0 "^zram0" show
finish_session

# ---- they come and go ----
size=48
start switched many 16M --swap zram:96M,prio=5 --swap "file:$disk,size=96M,prio=5"
end=$(($(date +%s) + seconds))
switches=0
while [ "$failures" = 0 ] &&
	{ [ "$(date +%s)" -lt "$end" ] || [ $switches -lt 4 ]; }; do
	says 0 "off, .* moved in .* s (.*/s)$" off zram0
	says 0 "^zram0: on$" on zram:96M,prio=5
	says 0 "off, .* moved in .* s (.*/s)$" off "$disk"
	says 0 "^file:$disk: on$" on "file:$disk,size=96M,prio=5"
	switches=$((switches + 2))
done
finish_session
echo "live: $switches devices went off"

# ---- called off ----
# Hangs up at the first word of how far it is, as a caller does who dies.
hang_up() {
	python3 - "$name" "$1" <<-'END'
		import json, os, socket, sys
		base = "/run" if os.geteuid() == 0 else os.environ["XDG_RUNTIME_DIR"]
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.connect(f"{base}/spillway/{sys.argv[1]}")
		s.send(json.dumps({"request": "off", "device": sys.argv[2]}).encode())
		assert "progress" in json.loads(s.recv(65536))
	END
}

# The same with Ctrl-C: on a terminal it says at once how far it is. False also
# when who hung up before has not been noticed yet.
interrupt() {
	python3 - "$SPILLWAY" "$name" "$1" <<-'END'
		import os, pty, re, signal, sys
		pid, fd = pty.fork()
		if not pid:
		    os.execv(sys.argv[1], ["spillway", "off", "-s", *sys.argv[2:]])
		said = b""
		while True:
		    try:
		        got = os.read(fd, 4096)
		    except OSError:
		        got = b""
		    if not got:
		        break
		    if b"%" in got and b"%" not in said:
		        os.write(fd, b"\003")
		    said += got
		status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
		text = said.decode()
		if "is going off already" in text:
		    sys.exit(1)
		assert status == 1, (status, text)
		assert re.search(r"[0-9]+% of [0-9.]+M, [0-9.]+[KM]?/s", text), text
		assert "called off; it is in use as before" in text, text
	END
}

size=256
start called-off one 32M --swap "file:$disk,size=512M,prio=5"
until_true holds "file:$disk" 134217728 || fail "nothing goes to the file"
says 0 "^zram1: on$" on zram:512M,prio=1
for turn in 1 2 3; do
	hang_up "$disk" || fail "hanging up failed"
	until_true interrupt "$disk" || fail "it cannot be called off"
	says 0 "^file:$disk" show
done
# In use as before: it is filled first, and can go in the end.
until_true holds "file:$disk" 134217728 || fail "it is not used any more"
says 0 "off, .* moved" off "$disk"

# Programs end while their device goes: whoever asked hears what became of it.
says 0 "^file:$disk: on$" on "file:$disk,size=512M,prio=5"
"$SPILLWAY" off -s "$name" zram1 >"$tmp/off.out" 2>&1 &
caller=$!
finish_session
wait $caller
status=$?
[ $status -le 1 ] && [ -s "$tmp/off.out" ] ||
	fail "off at the end: status $status: $(cat "$tmp/off.out")"

# ---- a session that is killed leaves no name that is taken ----
start killed one 16M --swap zram:
kill -KILL "$(supervisor_pid)"
wait $supervisor 2>/dev/null
"$tool" gone "$mark" 3 >/dev/null
says 1 "no session '$name'" show
[ ! -e "/run/spillway/$name" ] || fail "killed: its socket is left"
size=16
start again many 8M --swap zram:
until_true holds zram0 1048576 || fail "nothing goes to zram0"
finish_session

finish
