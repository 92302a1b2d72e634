#!/bin/sh
# clang's thread-safety analysis of the rooms whose functions say what they
# take, hold and give up (base/lock.h: SW_ACQUIRES, SW_REQUIRES ...).
#
#       tests/tsa.sh [SRC]                checks a tree
#       tests/tsa.sh --self-test          checks this checker
set -u

here=$(cd "$(dirname "$0")" && pwd)
command -v clang >/dev/null || {
        echo "SKIP: no clang here"
        exit 77
}

# check SRC: 0 if every file keeps its word.
check() {
        failed=0
        for room in base codec store swap zswap mmu lib run; do
                for file in "$1/$room"/*.c; do
                        [ -f "$file" ] || continue
                        clang -fsyntax-only -std=gnu11 -D_GNU_SOURCE \
                                -DSW_CHECKS=1 -DSPILLWAY_LIBDIR='""' -I"$1" \
                                -DSPILLWAY_VERSION='""' -I"$1/../include" \
                                -Wthread-safety -Werror=thread-safety "$file" ||
                                failed=$((failed + 1))
                done
        done
        [ "$failed" -eq 0 ] ||
                echo "$failed files break what they say about their locks"
        return "$failed"
}

self_test() {
        tmp=$(mktemp -d) || exit 1
        trap 'rm -rf "$tmp"' EXIT
        mkdir "$tmp/base" "$tmp/swap"
        cp "$here"/../src/base/*.h "$tmp/base"
        cat >"$tmp/swap/x.c" <<'EOF'
#include "base/lock.h"
static struct sw_mutex lock = SW_MUTEX_INIT("lock", SW_RANK_LEAF);
void twice(void) SW_REQUIRES(&lock);
void both(void) { sw_mutex_lock(&lock); twice(); sw_mutex_unlock(&lock); }
EOF
        check "$tmp" || {
                echo "FAIL: correct code is refused"
                exit 1
        }
        echo 'void none(void) { twice(); }' >>"$tmp/swap/x.c"
        check "$tmp" >/dev/null 2>&1 && {
                echo "FAIL: a call without the lock passes"
                exit 1
        }
        exit 0
}

[ "${1:-}" != --self-test ] || self_test
check "${1:-$here/../src}"
