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
compare cpus "less 1" \
        "$(line cpus taskset -c "$(taskset -cp $$ | sed 's/.*[:,-] *//')" \
                "$spillway" doctor)"

# Without rights no session runs, and scripts can see it.
chmod 755 "$dir"
cp "$spillway" "$dir/spillway"
bare="setpriv --reuid=65534 --regid=65534 --clear-groups $dir/spillway"
$bare doctor >"$dir/out" 2>&1
compare "exit status" 1 $? $bare doctor
compare "last line" "spillway run does not work here" \
        "$(tail -n 1 "$dir/out")"
compare capability "no no CAP_SYS_PTRACE" "$(line capability $bare doctor)"

finish
