#!/bin/sh
# Makes the static library: all our archives become one object, in which only
# what begins with spillway_ stays visible, as it is in the shared library.
#
#       one-object.sh OUT.a PUBLIC.a ARCHIVE...
set -eu

out=$1 public=$2
shift 2

object=${out%.a}.o
trap 'rm -f "$object"' EXIT
# Of the others what the public one leads to.
"${LD:-ld}" -r -o "$object" --whole-archive "$public" --no-whole-archive \
        --start-group "$@" --end-group
"${OBJCOPY:-objcopy}" --wildcard --keep-global-symbol='spillway_*' "$object"
rm -f "$out"
"${AR:-ar}" rcs "$out" "$object"
