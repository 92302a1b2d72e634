#!/bin/sh
# redis.sh [zram|file|zswap]: redis-server holding 1.7 times its budget, or twice
# where it goes to a disk: the same DEBUG DIGEST, which is of every value, as a
# native server with the same data, and a BGSAVE file that loads natively to it.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need redis-server redis-cli
need_spillway

swap=${1:-zram}
budget_mib=$((64 * level))
tenths=17
case $swap in
zram) options="--swap zram:2G" ;;
file) options="--swap file:$tmp/swap,size=1G" ;;
zswap) options="--swap file:$tmp/swap,size=1G --zswap $((8 * level))M" ;;
esac
if [ "$swap" != zram ]; then
	[ "$(stat -f -c %T "$tmp")" != tmpfs ] || skip "$tmp is memory, no disk"
	budget_mib=$((32 * level))
	tenths=20
	mkdir "$tmp/swap"
fi
value=1000
# A value costs its bytes and about 90 more for key, entry and headers.
count=$((budget_mib * 1048576 * tenths / 10 / (value + 90)))
mkdir "$tmp/native" "$tmp/under" "$tmp/reload"

cli() {
	timeout "${cli_timeout:-100}" redis-cli -s "$socket" "$@"
}

# server_options DIR: a server alone in DIR, without network or surprises.
server_options() {
	echo "--port 0 --unixsocket $tmp/$1/s --dir $tmp/$1 --save '' \
		--appendonly no --enable-debug-command yes --daemonize no"
}

# wait_ready DIR: until it answers, and has loaded what it loads.
wait_ready() {
	socket=$tmp/$1/s
	tries=600
	until [ "$(cli_timeout=5 cli ping 2>/dev/null)" = PONG ]; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		kill -0 "$server" 2>/dev/null || return 1
		sleep 0.1
	done
}

stop() {
	cli shutdown nosave >/dev/null 2>&1
	E2E_MARK=- "$tool" reaper "$server" 20 &
	wait "$server"
	rc=$?
}

load() {
	"$tool" redis $count $value 5 | cli --pipe >"$tmp/pipe.out" 2>&1 ||
		fail "loading: $(tail -n 1 "$tmp/pipe.out")"
}

eval "redis-server $(server_options native)" >"$tmp/native.log" 2>&1 &
server=$!
wait_ready native || skip "redis-server does not start natively" \
	"$(tail -n 3 "$tmp/native.log")"
load
want=$(cli debug digest)
[ "$(cli dbsize)" = $count ] || fail "native: $(cli dbsize) keys, not $count"
stop

session=redis-$swap
start=$(date +%s)
eval "\"$SPILLWAY\" run -m ${budget_mib}M $options \
	--report \"$tmp/$session.json\" -- redis-server $(server_options under)" \
	>"$tmp/$session.out" 2>"$tmp/$session.err" </dev/null &
server=$!
if ! wait_ready under; then
	fail "redis-server does not start under spillway"
	show_errors
	finish
fi
load
got=$(cli debug digest)
[ "$got" = "$want" ] || fail "digest $got, not $want"

# Twice, while clients overwrite what is being saved.
for turn in 1 $(seq 2 $((2 * level))); do
	before=$(cli lastsave)
	sleep 1
	cli bgsave >/dev/null
	"$tool" redis $((count / 4)) $value 5 | cli --pipe >/dev/null 2>&1
	tries=600
	while [ "$(cli lastsave)" = "$before" ]; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || break
		sleep 0.1
	done
	cli info persistence | grep -q 'rdb_last_bgsave_status:ok' ||
		fail "BGSAVE $turn failed"
	[ $tries -gt 0 ] || fail "BGSAVE $turn did not end"
done
want_saved=$(cli debug digest)
cli bgsave >/dev/null
while cli info persistence | grep -q 'rdb_bgsave_in_progress:1'; do
	sleep 0.1
done
stop
check_session 0
if [ "$swap" = zswap ]; then
	for least in zswpout zswpin zswpwb; do
		[ "$(counter $least)" -gt 1000 ] ||
			fail "$session: $least is $(counter $least)"
	done
fi
echo "$session: $count values, $(($(date +%s) - start)) s under spillway," \
	"$(counter pswpout) out, $(counter pswpin) in," \
	"$(counter zswpout) out to zswap, $(counter zswpin) in"

cp "$tmp/under/dump.rdb" "$tmp/reload/" || fail "no dump.rdb"
eval "redis-server $(server_options reload)" >"$tmp/reload.log" 2>&1 &
server=$!
wait_ready reload || fail "the saved file does not load natively"
got=$(cli debug digest)
[ "$got" = "$want_saved" ] || fail "reloaded digest $got, not $want_saved"
stop
finish
