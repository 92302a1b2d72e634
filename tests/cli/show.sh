#!/bin/sh
# What `spillway show` says of a session with a device of each kind: which
# columns, in which order and form.
. "$(dirname "$0")/lib.sh"

"$spillway" run -m 64M -- true >"$dir/out" 2>&1 ||
        skip "what spillway run needs: $(cat "$dir/out")"
PATH=$PATH:/usr/sbin:/sbin
command -v mkswap >/dev/null || skip "needs mkswap"

uuid=0123abcd-45ef-6789-89ab-cdef01234567
truncate -s 8M "$dir/area"
chmod 600 "$dir/area"
mkswap -L 'the attic' -U $uuid "$dir/area" >"$dir/out" 2>&1 ||
        skip "mkswap cannot: $(cat "$dir/out")"

name=show-$$
[ "$(id -u)" -eq 0 ] || export XDG_RUNTIME_DIR="$dir"
"$spillway" run -m 64M --name $name --swap zram:16M,prio=5 \
        --swap "file:$dir/area" --swap "file:$dir,size=4M" -- sleep 600 \
        2>"$dir/session" &
pid=$!
trap 'kill $pid; wait $pid; rm -rf "$dir"' EXIT
until "$spillway" show -s $name >/dev/null 2>&1; do
        kill -0 $pid || skip "what spillway run needs: $(cat "$dir/session")"
        sleep 0.02
done

# ---- as always ----
prints 0 "zram0 zram 16777216 0 5
file:$dir/area file 8384512 0 -1
file:$dir file 4190208 0 -1" \
        "$spillway" show -s $name --raw --noheadings --bytes

# ---- these columns, in this order ----
all="NAME TYPE SIZE USED PRIO UUID LABEL
zram0 zram 16777216 0 5  
file:$dir/area file 8384512 0 -1 $uuid the\\x20attic
file:$dir file 4190208 0 -1  spillway"
prints 0 "$all" "$spillway" show -s $name --raw --bytes \
        -o NAME,TYPE,SIZE,USED,PRIO,UUID,LABEL
prints 0 "$all" "$spillway" show -s $name --raw --bytes \
        --output=name,type,Size,uSed,prio,uuid,label
prints 0 "LABEL      SIZE UUID                                 TYPE
            16M                                      zram
the attic 8.00M $uuid file
spillway  4.00M                                      file" \
        "$spillway" show -s $name -o LABEL,SIZE,UUID,TYPE
prints 0 "5
-1
-1" "$spillway" show -s $name --noheadings --raw -o NAME -o PRIO
prints 0 '{
   "devices": [
      {
         "name": "zram0",
         "uuid": null,
         "label": null,
         "size": 16777216
      },{
         "name": "file:'$dir'/area",
         "uuid": "'$uuid'",
         "label": "the attic",
         "size": 8384512
      },{
         "name": "file:'$dir'",
         "uuid": null,
         "label": "spillway",
         "size": 4190208
      }
   ]
}' "$spillway" show -s $name --json --bytes -o NAME,UUID,LABEL,SIZE

# ---- what cannot be ----
see="see 'spillway show --help'"
columns="columns are NAME,TYPE,SIZE,USED,PRIO,UUID,LABEL"
for list in FREE NAME,FREE FREE,NAME; do
        refuses 125 "show: no column 'FREE'; $columns" \
                "$spillway" show -s $name -o $list
done
for list in '' , NAME, ,NAME NAME,,SIZE; do
        refuses 125 "show: no column ''; $columns" \
                "$spillway" show -s $name --output "$list"
done
refuses 125 "show: no column 'NAM'; $columns" "$spillway" show -s $name -o NAM
refuses 125 "show: no column 'NAMES'; $columns" \
        "$spillway" show -s $name -o NAMES
refuses 125 "show: column 'name' is there twice" \
        "$spillway" show -s $name -o NAME,SIZE,name
refuses 125 "show: option '-o' needs a value; $see" "$spillway" show -o
refuses 125 "show: option '--output' needs a value; $see" \
        "$spillway" show --output
refuses 125 "show: --proc has columns of its own; choose it or -o" \
        "$spillway" show -s $name --proc -o NAME
finish
