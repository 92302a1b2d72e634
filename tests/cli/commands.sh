#!/bin/sh
# Commands that are missing, may not be executed, or cannot be managed.
. "$(dirname "$0")/lib.sh"

run() {
        status=$1 line=$2
        shift 2
        refuses "$status" "$line" "$spillway" run -m 64M -- "$@"
}

# ---- not there ----
run 127 "no-such-command: command not found; check its name and PATH" \
        no-such-command
run 127 "/no/such/command: command not found; check its name" /no/such/command
run 127 "/dev/null/command: command not found; check its name" \
        /dev/null/command
run 127 "'': command not found; check its name and PATH" ''

# ---- there, but not executable ----
not_executable="not an executable file, or no permission to run it; see its mode with ls -l"
echo 'echo hello' >"$dir/plain"
run 126 "$dir/plain: $not_executable" "$dir/plain"
run 126 "$dir: $not_executable" "$dir"
refuses 126 "plain: $not_executable" \
        env PATH="$dir" "$spillway" run -m 64M plain

# ---- scripts ----
script() {
        printf '%s\n' "$2" >"$dir/$1"
        chmod 755 "$dir/$1"
}
script orphan '#!/no/such/interpreter -x'
run 127 "$dir/orphan: its interpreter /no/such/interpreter cannot be run: No such file or directory" \
        "$dir/orphan"
script locked "#! $dir/plain"
run 126 "$dir/locked: its interpreter $dir/plain cannot be run: Permission denied" \
        "$dir/locked"
script circle "#!$dir/circle"
run 126 "$dir/circle: more than 5 interpreters behind each other" "$dir/circle"

# ---- programs of a kind that cannot be managed ----
# header NAME CLASS DATA MACHINE: the first 64 bytes of an ELF program.
header() {
        {
                printf "\\177ELF\\00$2\\00$3\\001"
                head -c 9 /dev/zero
                printf "\\002\\000\\$4\\000\\001\\000\\000\\000"
                head -c 40 /dev/zero
        } >"$dir/$1"
        chmod 755 "$dir/$1"
}
case $(uname -m) in
x86_64) ours=076 other=267 other_name=aarch64 ;;
aarch64) ours=267 other=076 other_name=x86-64 ;;
*) skip "a machine this test knows" ;;
esac
header i386 1 1 003
run 126 "$dir/i386 is a 32-bit program, whose memory cannot be managed; use a 64-bit build" \
        "$dir/i386"
header x32 1 1 $ours
run 126 "$dir/x32 is a 32-bit program, whose memory cannot be managed; use a 64-bit build" \
        "$dir/x32"
header foreign 2 1 $other
run 126 "$dir/foreign is built for another processor ($other_name); use a build for this machine" \
        "$dir/foreign"
header big-endian 2 2 000
run 126 "$dir/big-endian is built for another processor (unknown); use a build for this machine" \
        "$dir/big-endian"
damaged="starts like a program but is none: its ELF headers are damaged or of another kind"
header cut-off 2 1 $ours
run 126 "$dir/cut-off $damaged" "$dir/cut-off"
printf '\177ELF' >"$dir/stub"
chmod 755 "$dir/stub"
run 126 "$dir/stub $damaged" "$dir/stub"

static="is statically linked: nothing can be preloaded into it, so its memory cannot be managed; use a dynamically linked build"
command -v cc >/dev/null || skip "a C compiler, to link a static program"
echo 'int main(void) { return 0; }' >"$dir/prog.c"
for how in -static -static-pie; do
        cc $how -o "$dir/prog$how" "$dir/prog.c" ||
                skip "a static C library, to link a static program"
        run 126 "$dir/prog$how $static" "$dir/prog$how"
done
script by-static "#!$dir/prog-static"
run 126 "$dir/by-static: its interpreter $dir/prog-static $static" \
        "$dir/by-static"
script by-script "#!$dir/by-static"
run 126 "$dir/by-script: its interpreter $dir/prog-static $static" \
        "$dir/by-script"

cc -Wl,--dynamic-linker=/no/such/loader -o "$dir/unloadable" "$dir/prog.c"
run 127 "$dir/unloadable: its loader /no/such/loader does not exist; install the C library it was built for" \
        "$dir/unloadable"

finish
