# lib.sh - sourced by the tests beside it. Each call runs a command and
# compares its exit status, its stdout and its stderr as a whole.
#
#       . "$(dirname "$0")/lib.sh"      # $1 of the test: the spillway binary
#       refuses 125 'the one line on stderr' "$spillway" run ...
#       prints 0 'all of stdout' "$spillway" --version
#       finish

export LC_ALL=C
export SPILLWAY_CONF= # nothing of this machine's own
spillway=$1
failures=0
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM HUP

# A test that cannot run here: 77 and what is missing.
skip() {
        echo "$*"
        exit 77
}

# compare WHAT WANT GOT COMMAND...
compare() {
        what=$1 want=$2 got=$3
        shift 3
        [ "$want" != "$got" ] || return 0
        failures=$((failures + 1))
        printf '%s: %s\n  want: %s\n  got:  %s\n' "$*" "$what" "$want" "$got"
}

# run_and_compare STATUS STDOUT STDERR COMMAND...
run_and_compare() {
        want_status=$1 want_out=$2 want_err=$3
        shift 3
        "$@" >"$dir/.out" 2>"$dir/.err" </dev/null
        compare "exit status" "$want_status" "$?" "$@"
        compare stdout "$want_out" "$(cat "$dir/.out")" "$@"
        compare stderr "$want_err" "$(cat "$dir/.err")" "$@"
}

refuses() {
        status=$1 line=$2
        shift 2
        run_and_compare "$status" "" "spillway: $line" "$@"
}

prints() {
        status=$1 text=$2
        shift 2
        run_and_compare "$status" "$text" "" "$@"
}

finish() {
        [ $failures -eq 0 ] || echo "$failures differences"
        [ $failures -eq 0 ]
        exit
}
