#!/bin/sh
# Debian's redis-server with more data than memory: filled, read back and
# saved under `spillway run`, beside the same data in a native server.
#
#       demo/redis.sh [BUILD_DIR]
#
# Uses unix sockets in a private folder, opens no port, removes everything at
# its end, and fails when a single byte or digest differs or the budget did
# not hold.
set -eu

build=${1:-build}
spillway=$build/src/cli/spillway
fill=$build/demo/demo-fill
budget_mb=128
seed=20240607
count=60000 # values of 4000 bytes in the mean: 229 MB
export SPILLWAY_CONF= # nothing of this machine's own

if [ "$(id -u)" -ne 0 ] && [ -n "${SUDO:-}" ]; then
        exec $SUDO "$0" "$@"
fi

say() { printf 'demo: %s\n' "$*"; }
fail() {
        printf 'demo: FAILED: %s\n' "$*" >&2
        exit 1
}

for program in "$spillway" "$fill"; do
        [ -x "$program" ] || fail "$program is not built; run 'make demo'"
done
for program in redis-server redis-cli python3; do
        command -v $program >/dev/null ||
                fail "$program is not installed; './bootstrap demo' does that"
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/spillway-demo.XXXXXX")
server= # the pid of the server that runs, or of spillway around it

cleanup() {
        status=$?
        trap - EXIT
        if [ "$status" -ne 0 ] && [ -n "$server" ] && [ -s "$dir/log" ]; then
                echo "demo: the last lines of the server:" >&2
                tail -n 5 "$dir/log" >&2
        fi
        if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
                timeout 5 redis-cli -s "$dir/sock" shutdown nosave \
                        >/dev/null 2>&1 || :
                kill "$server" 2>/dev/null || :
                sleep 0.2
                kill -9 "$server" 2>/dev/null || :
        fi
        rm -rf "$dir"
        exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

cli() { timeout 100 redis-cli -s "$dir/sock" "$@"; }
info() { cli info "$1" | tr -d '\r' | sed -n "s/^$2://p"; }
now() { date +%s%N; }
since() { awk "BEGIN { printf \"%.1f\", ($(now) - $1) / 1e9 }"; }
mb() { awk "BEGIN { printf \"%.0f\", $1 / 1048576 }"; }

# Waits until the server answers and has loaded what it had to load.
await_server() {
        i=0
        until [ "$(cli ping 2>/dev/null)" = PONG ]; do
                kill -0 "$server" 2>/dev/null || {
                        cat "$dir/out" >&2
                        fail "the server did not start"
                }
                i=$((i + 1))
                [ $i -lt 600 ] || fail "the server does not answer"
                sleep 0.1
        done
}

# start [PREFIX...]: a server under PREFIX, perhaps with $dir/dump.rdb.
start() {
        "$@" redis-server --port 0 --unixsocket "$dir/sock" --dir "$dir" \
                --save '' --appendonly no --daemonize no \
                --enable-debug-command local --logfile "$dir/log" \
                --loglevel warning >"$dir/out" 2>&1 &
        server=$!
        await_server
        server_pid=$(info server process_id)
}

# Ends the server and leaves its exit status in $status.
stop() {
        cli shutdown nosave >/dev/null 2>&1 || :
        status=0
        wait "$server" || status=$?
        server=
}

digest() { cli debug digest; }

# The server's anonymous memory as the kernel counts it, in bytes; the
# largest reading so far is kept in $seen.
look() {
        kb=$(awk '/^Pss_Anon:/ { print $2 }' "/proc/$server_pid/smaps_rollup")
        [ "$((kb * 1024))" -le "$seen" ] || seen=$((kb * 1024))
}

# Fills, reads back, saves; leaves t_fill, t_read, t_save, digest, seen.
work() {
        seen=0
        t=$(now)
        data_bytes=$(timeout 100 "$fill" "$dir/sock" set $seed $count) ||
                fail "filling the server"
        t_fill=$(since "$t")
        look
        t=$(now)
        timeout 100 "$fill" "$dir/sock" check $seed $count >/dev/null ||
                fail "a value did not come back as it was"
        t_read=$(since "$t")
        look
        digest=$(digest)
        look
        t=$(now)
        cli bgsave >/dev/null
        while [ "$(info persistence rdb_bgsave_in_progress)" != 0 ]; do
                look
                sleep 0.1
        done
        t_save=$(since "$t")
        [ "$(info persistence rdb_last_bgsave_status)" = ok ] ||
                fail "BGSAVE did not succeed"
        look
}

# Says at once, and in one line, when this machine cannot do it.
"$spillway" run -m 16M -- true || fail "spillway cannot run here"

say "a native redis-server, for comparison"
start env
work
stop
native_digest=$digest native_seen=$seen
native_fill=$t_fill native_read=$t_read native_save=$t_save
rm -f "$dir/dump.rdb"

say "the same under: spillway run -m ${budget_mb}M -- redis-server"
start "$spillway" run -m ${budget_mb}M --report "$dir/report.json" --
work
stop
[ "$status" -eq 0 ] || {
        cat "$dir/out" >&2
        fail "spillway ended with status $status"
}

say "a native redis-server with the file the managed one saved"
start env
loaded_digest=$(digest)
stop

[ "$digest" = "$native_digest" ] ||
        fail "digests differ: native $native_digest, spillway $digest"
[ "$loaded_digest" = "$native_digest" ] ||
        fail "digests differ: native $native_digest, saved $loaded_digest"

# name=value lines of what the table needs from the report.
eval "$(python3 - "$dir/report.json" <<'EOF'
import json, sys

r = json.load(open(sys.argv[1]))
c = r["counters"]
dev = r["devices"][0] if r["devices"] else {}
print("peak=%d" % r["peak_bytes"])
print("out=%d" % (c["pswpout"] + c["swpout_zero"]))
print("back=%d" % (c["pswpin"] + c["swpin_zero"]))
print("stored=%d" % (dev.get("pages_stored", 0) * 4096))
print("memory=%d" % dev.get("memory_bytes", 0))
print("cpu=%.1f" % (r["cpu"]["supervisor_seconds"] + r["cpu"]["agent_seconds"]))
EOF
)"

row() { printf '  %-34s %12s %12s\n' "$@"; }
line() { printf '  %-34s %s\n' "$@"; }
echo
echo "  Redis, $(mb "$data_bytes") MB of values, half of each random"
echo
row '' native spillway
row 'memory allowed' 'no limit' "$budget_mb MB"
row 'memory of redis-server, from outside' "$(mb "$native_seen") MB" \
        "$(mb "$seen") MB"
row "filling $count values" "$native_fill s" "$t_fill s"
row 'reading each back and comparing' "$native_read s" "$t_read s"
row 'saving in the background (fork)' "$native_save s" "$t_save s"
echo
line 'peak of the whole process tree' "$(mb "$peak") MB"
line 'pages taken out' "$out ($(mb $((out * 4096))) MB)"
line 'pages brought back' "$back ($(mb $((back * 4096))) MB)"
line 'held in compressed memory' \
        "$(mb "$stored") MB in $(mb "$memory") MB, beside the budget"
line 'CPU time of Spillway itself' "$cpu s"
line 'every value came back' yes
line 'digests equal' 'yes (native, spillway, and its saved file)'
echo

# 5 % and 8 MB: what the budget may be missed by.
limit=$((budget_mb * 1048576 * 105 / 100 + 8388608))
[ "$seen" -le $limit ] && [ "$peak" -le $limit ] ||
        fail "the budget did not hold"
say "done"
