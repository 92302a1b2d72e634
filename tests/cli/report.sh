#!/bin/sh
# spillway report, and run --trace, where they refuse. What the page shows is
# tests/trace/page.py's.
. "$(dirname "$0")/lib.sh"

see="see 'spillway report --help'"
refuses 125 "report: no trace given; $see" "$spillway" report
refuses 125 "report: more than one trace given; $see" "$spillway" report a b
refuses 125 "report: option '-o' needs a value; $see" "$spillway" report a -o
refuses 125 "report: no option '--page'; $see" "$spillway" report --page a
refuses 125 "report: no option '-x'; $see" "$spillway" report -x a

none="no trace of 'spillway run --trace'"
refuses 1 "report: $dir/none: No such file or directory" \
        "$spillway" report "$dir/none"
refuses 1 "report: $dir: Is a directory" "$spillway" report "$dir"
refuses 1 "report: /dev/null: $none" "$spillway" report /dev/null
echo 'w 17 4' >"$dir/text"
refuses 1 "report: $dir/text: $none" "$spillway" report "$dir/text"
refuses 1 "report: $spillway: $none" "$spillway" report "$spillway"
printf 'SWTRACE\n' >"$dir/short"
refuses 1 "report: $dir/short: $none" "$spillway" report "$dir/short"
{
        printf 'SWTRACE\n\002\000\000\000'
        head -c 100 /dev/zero
} >"$dir/later"
refuses 1 "report: $dir/later: a trace of another version of Spillway, which has to show it" \
        "$spillway" report "$dir/later"

# Nothing is left where there is no page.
"$spillway" report -o "$dir/page" "$dir/text" 2>/dev/null
[ ! -e "$dir/page" ] || compare "page" none "$(ls "$dir")" report -o

# A terminal gets no page.
out=$(script -qec "'$spillway' report '$dir/text'" /dev/null </dev/null | tr -d '\r')
compare "on a terminal" \
        "spillway: report: a page is no text for a terminal; give -o PAGE.html; $see" \
        "$out" report

refuses 125 "--trace $dir/no/such/trace: cannot be written: No such file or directory" \
        "$spillway" run -m 64M --trace "$dir/no/such/trace" -- true
refuses 125 "--trace $dir: cannot be written: Is a directory" \
        "$spillway" run -m 64M --trace "$dir" -- true
refuses 125 "--trace /dev/full: cannot be written: No space left on device" \
        "$spillway" run -m 64M --trace /dev/full -- true
# A disk that is full later: the report is there all the same.
json=$(
        ulimit -f 1
        trap '' XFSZ
        {
                "$spillway" run -m 64M --trace "$dir/small" \
                        --report /dev/stdout -- sleep 1 2>"$dir/.err"
                echo $? >"$dir/status"
        } | cat
)
compare "full later: exit status" 125 "$(cat "$dir/status")" run --trace
compare "full later: stderr" \
        "spillway: --trace $dir/small: cannot be written: File too large" \
        "$(cat "$dir/.err")" run --trace
compare "full later: report" '{' "$(echo "$json" | head -n 1)" run --trace
# A command that is not there leaves none.
"$spillway" run -m 64M --trace "$dir/t" -- "$dir/no-command" 2>/dev/null
[ ! -e "$dir/t" ] || compare "trace" none "$(ls "$dir")" run --trace

prints 3 '' "$spillway" run -m 64M --trace "$dir/t" -- sh -c 'exit 3'
run_and_compare 0 '' '' "$spillway" report -o "$dir/page" "$dir/t"
compare "first line" '<!DOCTYPE html>' "$(head -n 1 "$dir/page")" report
refuses 1 "report: $dir/no/page: No such file or directory" \
        "$spillway" report -o "$dir/no/page" "$dir/t"
refuses 1 "report: /dev/full: No space left on device" \
        "$spillway" report -o /dev/full "$dir/t"
# It is read twice.
mkfifo "$dir/fifo"
cat "$dir/t" >"$dir/fifo" &
refuses 1 "report: $dir/fifo: is read twice, and so has to be a file" \
        "$spillway" report "$dir/fifo"

finish
