#!/bin/sh
# `make deb`: the packages are built beside the source, which stays as it was;
# lintian finds no errors; and on a copy of this machine that exists for this test
# alone they are installed, used, and purged without a trace.
#
#       deb.sh SPILLWAY VERSION SOURCE
. "$(dirname "$0")/lib.sh"

version=$2 source=$3

[ "$(id -u)" -eq 0 ] || skip "root, to install packages"
for tool in dpkg-buildpackage dh lintian unshare chroot pkg-config; do
        command -v $tool >/dev/null || skip "$tool"
done

# ---- what is written twice ----

compare "version in debian/changelog" "$version" \
        "$(dpkg-parsechangelog -l "$source/debian/changelog" -S Version)" make deb

# Those of ./bootstrap that are to build, but for the tests' library.
compare Build-Depends \
        "$(sed -n '/^packages="build-essential/,/"$/p' "$source/bootstrap" |
                tr -d '"' | sed 's/^packages=//' | tr -s ' \n' '\n' |
                grep -vx -e build-essential -e libcmocka-dev -e '' | sort)" \
        "$(sed -n '/^Build-Depends:/,/^[^ B]/s/^ \([^ ,]*\).*/\1/p' \
                "$source/debian/control" | grep -v debhelper | sort)" \
        debian/control

# ---- building ----

git -C "$source" status --porcelain >"$dir/before" 2>/dev/null
if ! DEB_BUILD_OPTIONS=noautodbgsym make -C "$source" DEB_DIR="$dir/deb" deb \
        >"$dir/log" 2>&1; then
        tail -n 30 "$dir/log"
        exit 1
fi
git -C "$source" status --porcelain >"$dir/after" 2>/dev/null
compare "the work tree" "$(cat "$dir/before")" "$(cat "$dir/after")" make deb
compare packages "libspillway-dev libspillway0 spillway" \
        "$(find "$dir/deb" -name '*.deb' -printf '%f\n' | sed 's/_.*//' | sort |
                paste -sd ' ')" make deb
lintian --allow-root --fail-on error "$dir"/deb/*.changes >"$dir/lint" 2>&1
compare "exit status" 0 $? lintian
cat "$dir/lint"

# ---- installing ----

# use: what is done on the copy, by its root.
cat >"$dir/use" <<'END'
set -ex
dpkg -i /tmp/deb/*.deb
[ "$(command -v spillway)" = /usr/bin/spillway ]
[ "$(spillway --version)" = "spillway $1" ]
readelf -n /usr/bin/spillway | grep -q 'Provider: spillway'
[ -f /usr/share/man/man7/spillway-probes.7.gz ]

# The agent is the installed one, and pages go out and come back.
spillway run -m 64M -- cat /proc/self/maps | grep '/usr/lib/.*/spillway-agent.so'
spillway run -m 16M --report /tmp/report -- python3 -c '
import random
made = [random.Random(n).randbytes(1 << 20) for n in range(32)]
assert all(b == random.Random(n).randbytes(1 << 20) for n, b in enumerate(made))'
python3 -c '
import json
assert json.load(open("/tmp/report"))["counters"]["pswpin"] > 0'

# A program with the library, shared and static.
example=/usr/share/doc/libspillway-dev/examples/larger_than_memory.c
cc $example $(pkg-config --cflags --libs spillway) -o /tmp/sort
ldd /tmp/sort | grep 'libspillway.so.0 => /lib'
/tmp/sort
cc $example $(pkg-config --cflags spillway) -Wl,-Bstatic -lspillway \
        -Wl,-Bdynamic $(pkg-config --libs --static spillway |
                sed 's/-lspillway//') -o /tmp/sort
[ -z "$(ldd /tmp/sort | grep libspillway)" ]
/tmp/sort

dpkg -P libspillway-dev libspillway0 spillway
[ -z "$(dpkg-query -W libspillway-dev libspillway0 spillway 2>/dev/null)" ]
[ ! -e /run/spillway ]
END

# make-copy: / with a layer of memory above it, seen by nobody else.
cat >"$dir/make-copy" <<'END'
set -e
mount -t tmpfs tmpfs "$1/copy"
cd "$1/copy"
mkdir over work root
mount -t overlay overlay -o lowerdir=/,upperdir=over,workdir=work root
for fs in proc dev sys; do
        mount --rbind /$fs root/$fs
done
mount -t tmpfs tmpfs root/run
mount -t tmpfs tmpfs root/tmp
cp -r "$1/deb" root/tmp/deb
chroot root env HOME=/root TMPDIR=/tmp sh /tmp/deb/use "$2" </dev/null
# What is there now and was not, or the other way round.
find over -mindepth 1 -printf '%y %P\n' | while read -r type path; do
        [ "$type" != c ] || echo "$path is gone"
        [ -e "/$path" ] || [ -L "/$path" ] || echo "$path has come"
done >"$1/traces"
END
cp "$dir/use" "$dir/deb/use"
mkdir "$dir/copy"
if ! unshare -m --propagation private sh "$dir/make-copy" "$dir" "$version" \
        >"$dir/log" 2>&1; then
        tail -n 30 "$dir/log"
        compare "what was done" "to work" "not" sh -ex use
fi
# Of dpkg itself and what it calls: its log, and the names of manual pages.
compare "traces" "" "$(grep -sv -e '^var/lib/dpkg/' -e '^var/log/' \
        -e '^var/cache/' "$dir/traces")" dpkg -P

finish
