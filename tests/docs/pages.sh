#!/bin/sh
# The manual as a whole: every page is clean, is installed, and leads to pages
# that exist; every command has a page, and every option that its --help has is in
# that page, and the other way round.
#
#       pages.sh SPILLWAY MAN_FOLDER BUILD_FOLDER
set -u
export LC_ALL=C

spillway=$(realpath "$1") man=$2 build=$3
failures=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

fail() {
        echo "FAIL: $*"
        failures=$((failures + 1))
}

command -v mandoc >/dev/null || {
        echo "needs mandoc"
        exit 77
}

DESTDIR=$dir/stage meson install -C "$build" --no-rebuild >log 2>&1 || {
        tail -n 5 log
        exit 1
}
find stage -path '*/man/*' -name '*.[1-9]' -printf '%f\n' >installed
installed=$dir/installed

# ---- each page ----

for page in "$man"/*.[1-9]; do
        name=$(basename "$page")
        out=$(mandoc -Tlint -Wwarning "$page" 2>&1) || fail "$out"
        grep -qx "$name" "$installed" || fail "$name is not installed"
        # Pages of ours that it leads to.
        sed -n 's/^\.\(It \)\{0,1\}Xr //p' "$page" | sed 's/ , Xr /\n/g; s/ , /\n/g' |
                sed -n 's/^\(spillway[^ ]*\) \([1-9]\).*/\1.\2/p' | sort -u >list
        while read -r other; do
                grep -qx "$other" "$installed" ||
                        fail "$name leads to $other, which is not installed"
        done <list
done

# ---- each command ----

# Options of a page, as -x and --long, a line each: from its items.
of_page() {
        sed -n 's/^\.It \(Fl .*\)/ , \1/p' "$1" | sed 's/ , Fl /\n- /g' |
                sed -n 's/^- -\([a-z-]*\).*/--\1/p; s/^- \([A-Za-z]\)\( .*\)*$/-\1/p' |
                sort -u
}

# And of what commands say themselves.
of_help() {
        for said_by; do
                "$spillway" "$said_by" --help </dev/null
        done | sed -n 's/^ *\(-[A-Za-z]\), \(--[a-z-]*\).*/\1\n\2/p
                s/^ *\(--[a-z-]*\).*/\1/p' | sort -u
}

commands=$("$spillway" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
[ -n "$commands" ] || fail "spillway --help has no commands"
for command in $commands; do
        grep -qx "spillway-$command.1" "$installed" ||
                fail "spillway-$command.1 is not installed"
        grep -q "^\.It.* Xr spillway-$command 1" "$man/spillway.1" ||
                fail "spillway.1 does not list $command"
        page=$(grep -lx "\.Nm spillway-$command\( ,\)*" "$man"/*.1)
        [ -f "$page" ] || {
                fail "no page names spillway-$command"
                continue
        }
        # All commands that share the page.
        together=$(sed -n 's/^\.Nm spillway-\([a-z]*\).*/\1/p' "$page" | sort -u)
        # shellcheck disable=SC2086
        of_help $together >help
        of_page "$page" >page
        [ -s help ] || fail "$command --help has no options"
        diff help page >differences ||
                fail "< in --help only, > in $(basename "$page") only:
$(grep '^[<>]' differences)"
done
for page in "$man"/spillway-*.1; do
        for name in $(sed -n 's/^\.Nm spillway-\([a-z]*\).*/\1/p' "$page" | sort -u); do
                printf '%s\n' "$commands" | grep -qx "$name" ||
                        fail "$(basename "$page") is of $name, which is no command"
        done
done

[ $failures -eq 0 ] || echo "$failures failed"
[ $failures -eq 0 ]
