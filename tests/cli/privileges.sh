#!/bin/sh
# Programs that gain privileges take no preloaded object; users without
# privileges get no userfaultfd. Each refusal names what would help.
. "$(dirname "$0")/lib.sh"

[ "$(id -u)" -eq 0 ] || skip "root, to give privileges up"
command -v setpriv >/dev/null || skip "setpriv(1), to give privileges up"

# A copy that everybody can reach.
chmod 755 "$dir"
cp "$spillway" "$dir/spillway"
chmod 755 "$dir/spillway"
as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
$as_nobody "$dir/spillway" --version >/dev/null 2>&1 ||
        skip "a temporary folder from which nobody can run a program"

# ---- set-user-ID, set-group-ID, file capabilities ----
gains="nothing can be preloaded into a program that gains privileges, so its memory cannot be managed"
case ,$(findmnt -n -o OPTIONS -T "$dir"), in
*,nosuid,*) suid= ;;
*) suid=yes ;;
esac
if [ "$suid" ]; then
        cp /bin/true "$dir/setuid" && chmod 4755 "$dir/setuid"
        cp /bin/true "$dir/setgid" && chgrp 5 "$dir/setgid" &&
                chmod 2755 "$dir/setgid"
        printf '#!%s\n' "$dir/setuid" >"$dir/script" && chmod 755 "$dir/script"

        refuses 126 "$dir/setuid is set-user-ID: $gains; run spillway as the file's owner" \
                $as_nobody "$dir/spillway" run -m 64M "$dir/setuid"
        refuses 126 "$dir/script: its interpreter $dir/setuid is set-user-ID: $gains; run spillway as the file's owner" \
                $as_nobody "$dir/spillway" run -m 64M "$dir/script"
        refuses 126 "$dir/setgid is set-group-ID: $gains; run spillway in the file's group, see sg(1)" \
                "$dir/spillway" run -m 64M "$dir/setgid"
        if command -v setcap >/dev/null && cp /bin/true "$dir/caps" &&
                setcap cap_net_raw+ep "$dir/caps" 2>/dev/null; then
                refuses 126 "$dir/caps has file capabilities: $gains; run spillway as root" \
                        $as_nobody "$dir/spillway" run -m 64M "$dir/caps"
        fi
fi

# ---- userfaultfd ----
without="userfaultfd may not follow forks without CAP_SYS_PTRACE; run as root or add the capability"
refused="userfaultfd is not permitted; run as root or with CAP_SYS_PTRACE (sysctl vm.unprivileged_userfaultfd=1 or access to /dev/userfaultfd is not enough: following forks needs the capability)"
unprivileged=$(cat /proc/sys/vm/unprivileged_userfaultfd 2>/dev/null)
[ -n "$unprivileged" ] || skip "a kernel with userfaultfd"

if [ "$unprivileged" = 1 ] || $as_nobody test -w /dev/userfaultfd; then
        nobody_gets=$without
else
        nobody_gets=$refused
fi
refuses 125 "$nobody_gets" $as_nobody "$dir/spillway" run -m 64M true

# Root without the capability still opens the device file, where there is one.
if [ "$unprivileged" = 1 ] || [ -c /dev/userfaultfd ]; then
        root_gets=$without
else
        root_gets=$refused
fi
refuses 125 "$root_gets" setpriv --bounding-set=-sys_ptrace \
        "$dir/spillway" run -m 64M true

# ---- the session of somebody else ----

# Where its folder is private it is not even seen; should its socket come into
# other hands, they are turned away, and root is not. In a /run of its own.
cat >"$dir/ask.py" <<'END'
import os
import socket
import sys

user = int(sys.argv[1])
os.setgroups([])
os.setgid(user)
os.setuid(user)
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.connect("/run/spillway/mine")
    try:
        s.send(b'{"request": "show"}')
    except BrokenPipeError:
        pass  # turned away before; the answer is there
    print(s.recv(65536).decode()[:60])
except OSError as e:
    print(e.strerror)
END
cat >"$dir/meet" <<'END'
mount -t tmpfs tmpfs /run && cd "$1" && mkfifo hold || exit 1
"$2" run -m 64M --name mine -- sh -c 'read line <hold' &
for _ in $(seq 1000); do
        ! [ -S /run/spillway/mine ] || break
        sleep 0.01
done
stat -c %a /run/spillway /run/spillway/mine
python3 ask.py 65534
chmod 755 /run/spillway && chmod 666 /run/spillway/mine
python3 ask.py 65534
python3 ask.py 0 | cut -c 1-6
echo >hold
wait
END
prints 0 '700
600
Permission denied
{"error":"the session is another user'"'"'s"}
{"ok":' unshare -m sh "$dir/meet" "$dir" "$(readlink -f "$spillway")"

finish
