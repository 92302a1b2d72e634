#!/bin/sh
# What `spillway doctor` says where all is well, and where something is taken
# away from it: rights, descriptors, a CPU.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "root, to have all that can be had"

see="see 'spillway doctor --help'"
refuses 125 "doctor: no option '--frob'; $see" "$spillway" doctor --frob
refuses 125 "doctor: it takes no argument, and 'now' is one; $see" \
        "$spillway" doctor now

# line WHAT COMMAND...: the line about WHAT, blanks squeezed.
line() {
        what=$1
        shift
        "$@" 2>&1 </dev/null | sed -n "s/^\([a-z]*\)  *$what  */\1 /p"
}

"$spillway" doctor >"$dir/out" 2>&1
compare "exit status" 0 $? "$spillway" doctor
compare "last line" "spillway run works here" "$(tail -n 1 "$dir/out")"
also=
[ ! -c /dev/userfaultfd ] || also=" and /dev/userfaultfd"
compare userfaultfd "ok by its system call$also, with all we need" \
        "$(line userfaultfd "$spillway" doctor)"
compare capability "ok CAP_SYS_PTRACE" "$(line capability "$spillway" doctor)"

compare poison "ok yes" "$(line poison "$spillway" doctor)"
ram=$(awk '/^MemTotal:/ { print int($2 / 1024 / 1024) }' /proc/meminfo)
compare RAM "$ram" "$("$spillway" doctor |
        sed -n 's/.*memory limit .*\(RAM is\|of\) \([0-9]*\).*/\2/p')"

# The same, said to a program.
"$spillway" doctor --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["runs"] is True, d
names = [f["what"] for f in d["findings"]]
assert len(names) == len(set(names)) == 14, names
for f in d["findings"]:
    assert f["state"] in ("ok", "less"), f
    assert (f["state"] == "ok") == (f["remedy"] == ""), f
' || compare JSON "as described" "not"

compare descriptors "less 256: some 32 processes at once" \
        "$(line descriptors prlimit --nofile=256 "$spillway" doctor)"
compare "locked memory" "less 64K" \
        "$(line "locked memory" prlimit --memlock=65536 \
                setpriv --bounding-set=-ipc_lock "$spillway" doctor)"
compare "locked memory" "ok 64K" "$(line "locked memory" \
        prlimit --memlock=65536 "$spillway" doctor)"
# What a program may raise itself is not missing.
compare descriptors "ok 8192: some 1024 processes at once" "$(line descriptors \
        prlimit --nofile=256:8192 "$spillway" doctor)"
compare container "ok in a container" "$(line container \
        env container=test "$spillway" doctor | sed 's/,.*//')"
compare cpus "less 1" \
        "$(line cpus taskset -c "$(taskset -cp $$ | sed 's/.*[:,-] *//')" \
                "$spillway" doctor)"

# Less is no reason not to run.
prlimit --nofile=256 "$spillway" doctor >"$dir/out"
compare "exit status" 0 $? prlimit --nofile=256
compare "last line" "spillway run works here" "$(tail -n 1 "$dir/out")"

# ---- what files say, put over those of this machine for the command alone ----

# over PATH TEXT WHAT: the line about WHAT.
over() {
        printf '%s\n' "$2" >"$dir/over"
        line "$3" unshare -m sh -c 'mount --bind "$1" "$2" && "$3" doctor' \
                sh "$dir/over" "$1" "$spillway"
}

compare overcommit "less vm.overcommit_memory=2" \
        "$(over /proc/sys/vm/overcommit_memory 2 overcommit)"
compare overcommit "ok permitted" \
        "$(over /proc/sys/vm/overcommit_memory 1 overcommit)"
thp=/sys/kernel/mm/transparent_hugepage/enabled
compare "huge pages" "ok always" \
        "$(over $thp "[always] madvise never" "huge pages")"
compare "huge pages" "less never" \
        "$(over $thp "always madvise [never]" "huge pages")"

# Of whatever version the kernel's groups are.
limited='groups=/sys/fs/cgroup
        mount -t tmpfs tmpfs $groups && mkdir $groups/memory $groups/unified &&
        for file in memory.max unified/memory.max memory/memory.limit_in_bytes
        do
                echo 536870912 >$groups/$file
        done && "$1" doctor'
compare "memory limit" "ok 512M of $ram" "$(line "memory limit" \
        unshare -m sh -c "$limited" sh "$spillway" | sed 's/[.G].*//')"

# ---- system calls that a filter refuses ----

cat >"$dir/refuse.py" <<'END'
"""refuse.py NR COMMAND...: runs it with system call NR (of x86-64) refused."""
import ctypes
import os
import struct
import sys

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, EPERM = 0x7fff0000, 0x00050001
code = b"".join(struct.pack("HBBI", *step) for step in (
    (LOAD, 0, 0, 0), (EQUAL, 0, 1, int(sys.argv[1])),
    (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)))
steps = ctypes.create_string_buffer(code, len(code))
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(steps))
PR_SET_SECCOMP, FILTER = 22, 2
if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_SECCOMP, FILTER, program):
    sys.exit("no filter: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
END

# refused NR WHAT: the line about WHAT.
refused() {
        line "$2" python3 "$dir/refuse.py" "$1" "$spillway" doctor
}

# 999 is no call; 425 io_uring_setup, 310 process_vm_readv, 434 pidfd_open,
# 323 userfaultfd.
compare seccomp "ok a filter is in force" "$(refused 999 seccomp)"
[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null)" != 0 ] ||
        compare io_uring "ok yes" "$(refused 999 io_uring)"
compare io_uring "less refused: Operation not permitted" \
        "$(refused 425 io_uring)"
compare seccomp "no a filter is in force, refused: process_vm_readv" \
        "$(refused 310 seccomp)"
compare seccomp "no a filter is in force, refused: pidfd_open" \
        "$(refused 434 seccomp)"
if [ "$also" ]; then
        compare userfaultfd "ok by /dev/userfaultfd, with all we need" \
                "$(refused 323 userfaultfd)"
        compare poison "ok yes" "$(refused 323 poison)"
else
        compare userfaultfd "no none, which is not enough" \
                "$(refused 323 userfaultfd)"
        compare move "ok not known" "$(refused 323 move)"
fi

# ---- rights ----

inside="unshare --user --map-root-user $spillway doctor"
compare capability "ok CAP_SYS_PTRACE, of this user namespace only" \
        "$(line capability $inside)"
compare container "in a user namespace" \
        "$(line container $inside | sed 's/.*, //')"

# Without rights no session runs, and scripts can see it.
chmod 755 "$dir"
cp "$spillway" "$dir/spillway"
bare="setpriv --reuid=65534 --regid=65534 --clear-groups $dir/spillway"
$bare doctor >"$dir/out" 2>&1
compare "exit status" 1 $? $bare doctor
compare "last line" "spillway run does not work here" \
        "$(tail -n 1 "$dir/out")"
compare capability "no no CAP_SYS_PTRACE" "$(line capability $bare doctor)"
compare JSON '  "runs": false,' "$($bare doctor --json | grep runs)"

case ,$(findmnt -n -o OPTIONS -T "$dir"), in
*,nosuid,*) ;;
*)
        chmod 4755 "$dir/spillway"
        compare preload "no ignored: this spillway gains privileges as it starts" \
                "$(line preload $bare doctor)"
        ;;
esac

finish
