#!/bin/sh
# The library as nobody: faults of user mode are served, and what would give more
# is said by whoever requires it.
#
#       unprivileged.sh VERIFY CALLS
set -eu

as_nobody() {
        if [ "$(id -u)" -eq 0 ]; then
                setpriv --reuid 65534 --regid 65534 --clear-groups \
                        --inh-caps -all --bounding-set -all "$@"
        else
                "$@"
        fi
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 755 "$dir"
for program in "$1" "$2"; do
        as_nobody test -x "$program" || {
                echo "needs a build folder that everybody may read"
                exit 77
        }
done
for mode in thread-user-only signal no-userfaultfd; do
        as_nobody "$1" $mode || exit 1
done
as_nobody "$2" thread-user-only >"$dir/calls" 2>&1 || {
        cat "$dir/calls"
        exit 1
}

[ "$(cat /proc/sys/vm/unprivileged_userfaultfd)" = 0 ] || exit 0
# Mode `thread` requires that system calls work.
status=0
said=$(as_nobody "$1" thread) || status=$?
if [ $status -ne 77 ]; then
        echo "a requirement that cannot be met: status $status, $said"
        exit 1
fi
case $said in
*CAP_SYS_PTRACE*) ;;
*)
        echo "it does not say what would give more: $said"
        exit 1
        ;;
esac
