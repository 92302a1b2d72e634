#!/bin/sh
# Installs into an empty folder, as a packager would, and uses what is there: a C
# and a C++ program are built with pkg-config, shared and static, and run; nothing
# can be seen of the libraries but what begins with spillway_; every call has a
# manual page.
#
#       install.sh BUILD_DIR EXAMPLE.c
set -eu

build=$1 example=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

fail() {
        echo "install: $*" >&2
        exit 1
}

skip() {
        echo "$*"
        exit 77
}

for tool in pkg-config cc nm; do
        command -v $tool >/dev/null || skip "needs $tool"
done

DESTDIR=$root/stage meson install -C "$build" --no-rebuild >"$root/log" 2>&1 ||
        fail "meson install: $(tail -5 "$root/log")"
pc=$(find "$root/stage" -name spillway.pc)
[ -n "$pc" ] || fail 'no spillway.pc'
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$root/stage
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
lib=$(dirname "$PKG_CONFIG_PATH")

# ---- what can be seen ----

so=$lib/libspillway.so
seen=$(nm -D --defined-only "$so" | sed -n 's/.* [TDBRVW] //p' | sed 's/@.*//')
[ -n "$seen" ] || fail 'the library has no calls'
for name in $seen; do
        case $name in
        spillway_*) ;;
        *) fail "$name can be seen from outside" ;;
        esac
done
readelf -d "$so" | grep -q 'SONAME.*libspillway.so.0' || fail 'no soname'
nm -D "$so" | grep -q 'spillway_open@@SPILLWAY_' || fail 'no symbol versions'

# ---- programs ----

cat >"$root/plus.cc" <<'END'
#include <spillway.h>

int main()
{
	spillway_options options;
	spillway_t *sp;
	void *mem;

	spillway_options_init(&options, sizeof(options));
	options.budget_bytes = 8 << 20;
	if (spillway_open(&options, &sp) ||
	    spillway_alloc(sp, 16 << 20, nullptr, &mem))
		return 1;
	static_cast<char *>(mem)[12345] = 1;
	return spillway_close(sp);
}
END

flags=$(pkg-config --cflags --libs spillway)
# shellcheck disable=SC2086
cc -Wall -Wextra -Werror "$example" $flags -o "$root/plain" || fail 'C'
LD_LIBRARY_PATH=$lib "$root/plain" || fail 'the C program'
if command -v c++ >/dev/null; then
        # shellcheck disable=SC2086
        c++ -Wall -Wextra -Wpedantic -Werror "$root/plus.cc" $flags \
                -o "$root/plus" || fail 'C++'
        LD_LIBRARY_PATH=$lib "$root/plus" || fail 'the C++ program'
fi

a=$lib/libspillway.a
if [ -f "$a" ]; then
        for name in $(nm --defined-only -g "$a" | sed -n 's/.* [A-Z] //p'); do
                case $name in
                spillway_*) ;;
                *) fail "$name can be seen in the static library" ;;
                esac
        done
        # shellcheck disable=SC2046
        cc "$example" $(pkg-config --cflags spillway) -o "$root/static" "$a" \
                $(pkg-config --libs --static spillway |
                        sed 's/-lspillway//') || fail 'static'
        "$root/static" || fail 'the static C program'
fi

# ---- manual pages ----

man=$(find "$root/stage" -type d -name man3)
for name in $seen; do
        [ -f "$man/$name.3" ] || fail "$name has no manual page"
done
echo "installed, built and ran"
