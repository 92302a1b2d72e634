#!/bin/sh
# The rooms of src/ include one way only. Each line below is a room and the
# rooms it may include besides itself and system headers; a word with a dot
# is a single header. Whoever needs a new direction changes the picture in
# docs/architecture.md first.
#
#       tests/includes.sh [SRC]           checks a tree
#       tests/includes.sh --self-test     checks this checker
set -u

# Every file of ours is included by "room/file.h", so a name without a slash
# is a mistake too, and "../" steps around the rule.
rules() {
        cat <<'EOF'
cli    run report spillway.h
run    mm mmu zswap store codec swap trace base
lib    mm mmu zswap store codec swap base spillway.h
agent  mmu/protocol.h
mm     mmu zswap store codec swap base
mmu    base
zswap  store codec swap base
store  codec swap base
codec  base
swap   base
report trace base
trace  base
base
EOF
}

# allowed ROOM HEADER
allowed() {
        list=$(rules | sed -n "s/^$1\( .*\)*\$/\1/p")
        [ "${2%%/*}" = "$1" ] && return 0
        for rule in $list; do
                case "$rule" in
                *.*) [ "$2" = "$rule" ] && return 0 ;;
                *) [ "${2%%/*}" = "$rule" ] && return 0 ;;
                esac
        done
        return 1
}

# check SRC: prints each violation; 1 when there is one.
check() {
        bad=0
        for room in "$1"/*/; do
                room=$(basename "$room")
                [ "$room" != '*' ] || continue
                if ! rules | grep -q "^$room\( \|\$\)"; then
                        echo "src/$room/: a room this test does not know"
                        bad=1
                fi
        done
        # file:line:header of every quoted include, and of every system one
        # that is ours in disguise.
        found=$(cd "$1" && grep -rnE '^[[:space:]]*#[[:space:]]*include' \
                --include='*.[chS]' . |
                sed -nE 's@^\./([^:]*:[0-9]+):.*include[[:space:]]*"([^"]*)".*@\1 \2@p')
        [ -n "$found" ] || return $bad
        while read -r where header; do
                room=${where%%/*}
                if ! allowed "$room" "$header"; then
                        echo "src/$where: $room may not include \"$header\""
                        bad=1
                fi
        done <<EOF
$found
EOF
        return $bad
}

self_test() {
        dir=$(mktemp -d) || exit 1
        trap 'rm -rf "$dir"' EXIT
        mkdir -p "$dir/src/swap" "$dir/src/mm" "$dir/src/agent" "$dir/src/cli"

        cat >"$dir/src/mm/good.c" <<'EOF'
#include <stdio.h>
#include "mm/good.h"
#include "swap/swap.h"
EOF
        echo '#include "mmu/protocol.h"' >"$dir/src/agent/good.c"
        echo '  #  include "run/options.h"' >"$dir/src/cli/good.c"
        out=$(check "$dir/src") || {
                printf 'a clean tree was refused:\n%s\n' "$out"
                exit 1
        }

        echo '#include "mm/space.h"' >"$dir/src/swap/up.h"
        printf '\n#include "mmu/mmu.h"\n' >"$dir/src/agent/more.c"
        echo '#	include "base/log.h"' >"$dir/src/cli/deep.c"
        echo '#include "../swap/swap.h"' >"$dir/src/mm/around.c"
        echo '#include "good.h"' >"$dir/src/mm/bare.c"
        mkdir "$dir/src/cellar"
        out=$(check "$dir/src") && {
                echo "a tree with violations was accepted"
                exit 1
        }
        want='src/agent/more.c:2: agent may not include "mmu/mmu.h"
src/cellar/: a room this test does not know
src/cli/deep.c:1: cli may not include "base/log.h"
src/mm/around.c:1: mm may not include "../swap/swap.h"
src/mm/bare.c:1: mm may not include "good.h"
src/swap/up.h:1: swap may not include "mm/space.h"'
        out=$(printf '%s\n' "$out" | LC_ALL=C sort)
        if [ "$out" != "$want" ]; then
                printf 'want:\n%s\ngot:\n%s\n' "$want" "$out"
                exit 1
        fi
}

if [ "${1:-}" = --self-test ]; then
        self_test
else
        check "${1:-$(dirname "$0")/../src}"
fi
