#!/bin/sh
# Files and block devices that cannot be swap: one line each, status 125, and
# nothing is made, started or changed.
. "$(dirname "$0")/lib.sh"

"$spillway" run -m 64M -- true >"$dir/out" 2>&1 ||
        skip "what spillway run needs: $(cat "$dir/out")"

swap() {
        refuses 125 "$1: $2" "$spillway" run -m 64M --swap "${3:-$1}" -- \
                touch "$dir/started"
}

# ---- what is not there, or is of another kind ----
swap "file:$dir/new" "does not exist yet; say how large the file is to be: size=SIZE"
swap "file:$dir" "is a folder; say how large the file is to be: size=SIZE"
swap "file:$dir/none/new" "no file can be made there: No such file or directory" \
        "file:$dir/none/new,size=8M"
swap "file:/dev/null/new" "Not a directory" "file:/dev/null/new,size=8M"
swap file:/dev/null "is neither a file nor a folder nor a block device"
swap block:/dev/null "is neither a file nor a folder nor a block device"
swap "block:$dir/new" "No such file or directory"
swap "block:$dir" "is no block device; write file:$dir"

# ---- files that are no swap area ----
: >"$dir/area"
chmod 600 "$dir/area"
swap "file:$dir/area" "shorter than a page: no room for a header; make it larger and run mkswap"
truncate -s 8M "$dir/area"
swap "file:$dir/area" "no SWAPSPACE2 signature at byte 4086: not a swap area; make it one with mkswap"
swap "block:$dir/area" "is no block device; write file:$dir/area"
printf 'LUKS\272\276\000\001' >"$dir/luks"
cp "$dir/luks" "$dir/area"
truncate -s 8M "$dir/area"
swap "file:$dir/area" "has a signature of crypto_LUKS, which swapping would destroy; use another, or run wipefs and mkswap to give it up"
head -c 8 "$dir/area" | cmp -s - "$dir/luks" ||
        compare "file after it was refused" "as it was" "changed"

# ---- a place in memory ----
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ]; then
        swap file:/dev/shm "lies in memory (tmpfs), so swapping to it frees none; use zram: or a place on a disk" \
                file:/dev/shm,size=8M
fi

compare "files made" "area luks out" "$(ls "$dir" | tr '\n' ' ' | sed 's/ $//')"
finish
