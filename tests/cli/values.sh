#!/bin/sh
# Values of options that are no size, no budget, no device, no file.
. "$(dirname "$0")/lib.sh"

no_size() {
        refuses 125 "-m: '$1' is no size; write a number with K, M, G, T or % of RAM, e.g. 512M or 50%" \
                "$spillway" run -m "$1" -- true
}
no_size ''
no_size M
no_size abc
no_size -64M
no_size +64M
no_size ' 64M'
no_size '64 M'
no_size 64MB
no_size 64X
no_size 1.5
no_size 1.G
no_size .5G
no_size 0x40000000
no_size 50%%
no_size 1e9

refuses 125 "-m: '99999999999T' is more than can be counted" \
        "$spillway" run -m 99999999999T -- true
refuses 125 "-m: '99999999999999999999' is more than can be counted" \
        "$spillway" run -m 99999999999999999999 -- true

too_small() {
        refuses 125 "-m $1: too small to run anything in; the minimum is 8M" \
                "$spillway" run -m "$1" -- true
}
too_small 0
too_small 0%
too_small 64
too_small 4K
too_small 7.99M
too_small 8388607

swap() {
        refuses 125 "--swap $1: $2" "$spillway" run -m 64M --swap "$1" -- true
}
zram="zram:[SIZE][,prio=N] (compressed memory)"
file="file:PATH[,size=SIZE][,prio=N] (a swap file)"
block="block:DEVICE[,prio=N] (a block device)"
none="no such kind of device; known: $zram, $file, $block"
swap floppy: "$none"
swap floppy:4G "$none"
swap 4G "$none"
swap '' "$none"
swap : "$none"
swap ZRAM:1G "$none"
swap /var/tmp/swap "$none"
swap zram "a device is KIND:ARGS; write $zram"
swap file "a device is KIND:ARGS; write $file"
swap block,prio=1 "a device is KIND:ARGS; write $block"
swap zram,prio=1 "a device is KIND:ARGS; write $zram"
swap zram:big "'big' is no size; write a number with K, M, G, T or % of RAM, e.g. 512M or 50%"
swap zram:1:2 "'1:2' is no size; write a number with K, M, G, T or % of RAM, e.g. 512M or 50%"
swap zram:0 "a device has at least 1M"
swap zram:1023K "a device has at least 1M"
swap zram:4T "a device has less than 4T; give several"
swap zram:1G, "'' is no setting of a zram device; known: prio=N"
swap zram:1G,codec=lz4 "'codec' is no setting of a zram device; known: prio=N"
swap zram:1G,prio "'prio' is no setting of a zram device; known: prio=N"
swap zram:1G,size=2G "'size' is no setting of a zram device; known: prio=N"
swap zram:1G,encrypt "zram keeps its pages in memory, where they are not encrypted; encrypt is for file: and block:"
swap file: "no path is given"
swap file:,size=4G "no path is given"
swap block: "no path is given"
swap file:/x,8G "'8G' is no setting of a file device; known: size=SIZE, encrypt, discard[=once|pages], prio=N"
swap file:/x,size "'size' is no setting of a file device; known: size=SIZE, encrypt, discard[=once|pages], prio=N"
swap file:/x,size=big "'big' is no size; write a number with K, M, G, T or % of RAM, e.g. 512M or 50%"
swap file:/x,size=0 "a device has at least 1M"
swap file:/x,size=4T "a device has less than 4T; give several"
swap file:/x,size=4G,prio=-1 "prio is a number from 0 to 32767, higher is used first"
swap file:/x,encrypt=aes "'encrypt' is no setting of a file device; known: size=SIZE, encrypt, discard[=once|pages], prio=N"
swap zram:1G,discard "'discard' is no setting of a zram device; known: prio=N"
for policy in '' both 1; do
        swap "block:/x,discard=$policy" "discard is 'discard=once' (when turned on), 'discard=pages' (as they fall free), or 'discard' (both)"
done
swap block:/x,size=4G "'size' is no setting of a block device; known: encrypt, discard[=once|pages], prio=N"
for prio in '' high -1 +1 1x 32768 99999999999999999999; do
        swap "zram:1G,prio=$prio" \
                "prio is a number from 0 to 32767, higher is used first"
done

zswap() {
        refuses 125 "--zswap $1: $2" "$spillway" run -m 64M \
                --swap file:/x,size=1G --zswap "$1" -- true
}
for size in '' big 12X ,codec=lz4 on; do
        zswap "$size" "write SIZE[,codec=lz4|zstd[:LEVEL]], e.g. 512M, or off"
done
zswap 0 "it has at least 1M"
zswap 1023K "it has at least 1M"
zswap 4T "it has less than 4T"
zswap 8M,prio=1 "'prio=1' is no setting of it; known: codec=lz4|zstd[:LEVEL]"
zswap 8M, "'' is no setting of it; known: codec=lz4|zstd[:LEVEL]"
for codec in '' lzo lz4:1 zstd: zstd:2 zstd:22 zstd:x zstdx; do
        zswap "8M,codec=$codec" \
                "codec is lz4, or zstd with a level of 1, 3, 6 or 9: zstd:9"
done
none="--zswap: there is no slower device to keep pages in front of; add one, e.g. --swap file:/var/tmp,size=4G"
refuses 125 "$none" "$spillway" run -m 64M --zswap 8M -- true
refuses 125 "$none" "$spillway" run -m 64M --zswap 8M --swap zram:1G -- true

devices=
i=0
while [ $i -lt 25 ]; do
        devices="$devices --swap zram:1M"
        i=$((i + 1))
done
refuses 125 "--swap zram:1M: at most 24 devices can be used" \
        "$spillway" run -m 64M $devices -- true

report() {
        refuses 125 "--report $1: cannot be written: $2" \
                "$spillway" run -m 64M --report "$1" -- true
}
report '' "No such file or directory"
report "$dir" "Is a directory"
report "$dir/none/report.json" "No such file or directory"
report /dev/null/report.json "Not a directory"

finish
