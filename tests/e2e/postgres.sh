#!/bin/sh
# PostgreSQL, whose buffers are shared memory and whose sorts and hash tables
# are not: tables, updates by several clients at once and a restart give the
# same answers in half of its private memory as natively.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need awk setpriv

# The newest server; Debian has it outside of PATH.
bin=
for dir in /usr/lib/postgresql/*/bin; do
	[ ! -x "$dir/postgres" ] || bin=$dir
done
[ -n "$bin" ] || skip "no postgresql here"
[ -x "$bin/pgbench" ] || skip "no pgbench here"

# It refuses to run as root.
as=
if [ "$(id -u)" = 0 ]; then
	id postgres >/dev/null 2>&1 || skip "no user postgres here"
	as="setpriv --reuid=postgres --regid=postgres --clear-groups --"
fi
$as test -r "$(dirname "$SPILLWAY")" || skip "postgres may not read our build"

rows=$((150000 * level))
chmod 711 "$tmp"
mkdir "$tmp/made" "$tmp/run" || exit 1
chmod 777 "$tmp/t"
[ -z "$as" ] || chown postgres "$tmp/made" "$tmp/run"
cd "$tmp/run" || exit 1

$as "$bin/initdb" -D "$tmp/made" -A trust -U postgres --locale=C -E UTF8 \
	--no-sync >"$tmp/initdb.out" 2>&1 ||
	skip "initdb fails: $(tail -n 1 "$tmp/initdb.out")"
cat >>"$tmp/made/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$tmp/run'
shared_memory_type = mmap
shared_buffers = 16MB
work_mem = 128MB
max_parallel_workers_per_gather = 0
enable_mergejoin = off
enable_nestloop = off
fsync = off
autovacuum = off
CONF

# The sum of everything, sorted as it is not stored.
cat >"$tmp/content.sql" <<'SQL'
select 'rows', count(*), sum(n), md5(string_agg(a || n, ',' order by b, id))
	from t;
SQL
cat >"$tmp/join.sql" <<'SQL'
select 'join', count(*), md5(string_agg(x.a, ',' order by y.b, x.id))
	from t x join t y on x.a = y.a where y.n >= 0;
SQL
cat >"$tmp/load.sql" <<SQL
create table t as select i as id, md5(i::text) as a,
	repeat(md5((i * 7)::text), 4) as b, 0 as n
	from generate_series(1, $rows) i;
alter table t add primary key (id);
analyze t;
SQL
# Whatever their order, updates add up to the same.
cat >"$tmp/update.sql" <<SQL
\\set id random(1, $rows)
update t set n = n + :id % 13 + 1 where id = :id;
SQL

sql() {
	timeout 60 "$bin/psql" -XAtq -v ON_ERROR_STOP=1 -h "$tmp/run" \
		-U postgres -d postgres -f "$1"
}

wait_ready() {
	tries=300
	until "$bin/pg_isready" -q -h "$tmp/run"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] && kill -0 "$server" 2>/dev/null || return 1
		sleep 0.1
	done
}

# Three clients at once: each has a sort or a hash table of its own.
ask() {
	sql "$tmp/content.sql" >"$tmp/$1.content" 2>&1 &
	one=$!
	sql "$tmp/join.sql" >"$tmp/$1.join" 2>&1 &
	two=$!
	sql "$tmp/join.sql" >"$tmp/$1.again" 2>&1
	wait $one $two
	cat "$tmp/$1.content" "$tmp/$1.join" "$tmp/$1.again"
}

# stop: as its own "fast shutdown" does.
stop() {
	kill -INT "$server"
	wait "$server"
	rc=$?
}

# life NAME COMMAND...: COMMAND runs the server, twice; what it answers goes to
# $tmp/NAME.says.
life() {
	name=$1
	shift
	rm -rf "$tmp/run/data"
	cp -a "$tmp/made" "$tmp/run/data"
	start "$@"
	{
		sql "$tmp/load.sql" 2>&1
		ask first
		"$bin/pgbench" -n -h "$tmp/run" -U postgres -c 4 -j 2 -t 300 \
			--random-seed=7 -f "$tmp/update.sql" postgres \
			2>&1 | grep 'actually processed'
		ask second
	} >"$tmp/$name.says"
	stop
	ended
	start "$@"
	ask third >>"$tmp/$name.says"
	stop
	ended
}

start() {
	"$@" $as "$bin/postgres" -D "$tmp/run/data" >"$tmp/$name.log" 2>&1 \
		</dev/null &
	server=$!
	wait_ready && return
	fail "$name: the server does not start: $(tail -n 3 "$tmp/$name.log")"
	finish
}

ended() {
	[ $rc = 0 ] || fail "$name: the server ended with $rc:" \
		"$(tail -n 5 "$tmp/$name.log")"
	[ "$name" = under ] || return 0
	cp "$tmp/under.log" "$tmp/postgres.err"
	check_session 0
}

life native "$tool" clean "$sampler" -i 10 -o "$tmp/sample" --
native=$(sed -n 's/^max //p' "$tmp/sample")
grep -q "^rows|$rows|0|" "$tmp/native.says" || fail "natively wrong:" \
	"$(cat "$tmp/native.says")"
half=$((native / 2))
[ $half -ge 20000000 ] || fail "a native peak of $native is too small to halve"

session=postgres
life under "$tool" clean "$SPILLWAY" run -m $half --swap zram:2G \
	--report "$tmp/postgres.json" --
cmp "$tmp/native.says" "$tmp/under.says" ||
	fail "other answers: $(diff "$tmp/native.says" "$tmp/under.says")"
shared=$("$tool" json "$tmp/postgres.json" shared_peak_bytes)
[ "$shared" -gt 4000000 ] || fail "only $shared bytes of shared buffers"
echo "postgres: $((native >> 20)) MiB of private memory natively," \
	"$(counter pswpout) out, $(counter pswpin) in with half," \
	"$((shared >> 20)) MiB shared"
finish
