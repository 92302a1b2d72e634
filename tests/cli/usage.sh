#!/bin/sh
# What the command line refuses before it looks at anything else, and what
# the help says.
. "$(dirname "$0")/lib.sh"

prints 0 "spillway $2" "$spillway" --version
prints 0 "Usage: spillway COMMAND [OPTION]...

Commands:
  run      run a command in less memory than it needs
  show     list the swap devices of a running session
  on       give a running session another swap device
  off      empty a swap device of a session, and turn it off
  ps       list the processes of running sessions
  top      watch and steer a running session in the terminal
  map      draw the clusters of a swap device
  freeze   take a running session out of memory, and keep it out
  thaw     let a frozen session go on
  stat     say what a running session counts
  set      give a running session another budget
  reclaim  take memory out of a running session now
  debug    check a running session, or dump its state
  report   make a page of pictures of a recorded run
  doctor   say what this machine gives, and lacks

'spillway COMMAND --help' tells more about a command;
'spillway --version' tells which Spillway this is." "$spillway" --help

refuses 125 "no command given; see 'spillway --help'" "$spillway"
refuses 125 "no command 'walk'; see 'spillway --help'" "$spillway" walk
refuses 125 "no command '--frob'; see 'spillway --help'" "$spillway" --frob

see="see 'spillway run --help'"
refuses 125 "run: no budget given; add -m SIZE, e.g. -m 512M" "$spillway" run
refuses 125 "run: no budget given; add -m SIZE, e.g. -m 512M" \
        "$spillway" run -- true
refuses 125 "run: no command given to run; $see" "$spillway" run -m 64M
refuses 125 "run: no command given to run; $see" "$spillway" run -m 64M --
refuses 125 "run: no option '--frob'; $see" "$spillway" run --frob -- true
refuses 125 "run: no option '-x'; $see" "$spillway" run -x true
refuses 125 "run: no option '-x'; $see" "$spillway" run -vx true
refuses 125 "run: no option '--verbose=3'; $see" \
        "$spillway" run --verbose=3 true
refuses 125 "run: option '-m' needs a value; $see" "$spillway" run -m
refuses 125 "run: option '--memory' needs a value; $see" \
        "$spillway" run --memory
refuses 125 "run: option '--swap' needs a value; $see" \
        "$spillway" run -m 64M --swap

refuses 125 "run: no option '-x'; $see" "$spillway" run --verbose -xv true

refuses 125 "show: no option '-x'; see 'spillway show --help'" \
        "$spillway" show -x
refuses 125 "show: option '-s' needs a value; see 'spillway show --help'" \
        "$spillway" show -s
refuses 125 "show: 'redis' is one word too many; see 'spillway show --help'" \
        "$spillway" show redis
refuses 125 "on: no device given; see 'spillway on --help'" "$spillway" on
refuses 125 "off: no device given; see 'spillway off --help'" \
        "$spillway" off -s redis
refuses 125 "off: no option '-a'; see 'spillway off --help'" "$spillway" off -a
for command in freeze thaw; do
        refuses 125 "$command: no option '-x'; see 'spillway $command --help'" \
                "$spillway" $command -x
        refuses 125 "$command: 'redis' is one word too many; see 'spillway $command --help'" \
                "$spillway" $command redis
        refuses 1 "no session 'no.such' of yours is running; it is a pid of 'spillway run' or what --name gave it" \
                "$spillway" $command -s no.such
done
refuses 125 "thaw: no option '--thaw-on-fault'; see 'spillway thaw --help'" \
        "$spillway" thaw --thaw-on-fault
no_such="no session 'no.such' of yours is running; it is a pid of 'spillway run' or what --name gave it"
refuses 1 "$no_such" "$spillway" show -s no.such
refuses 1 "$no_such" "$spillway" stat -s no.such
refuses 1 "$no_such" "$spillway" stat -s no.such -i 0.1 -n 1
refuses 1 "$no_such" "$spillway" set -s no.such -m 64M
refuses 1 "$no_such" "$spillway" reclaim -s no.such 64M
refuses 1 "$no_such" "$spillway" debug -s no.such check
refuses 1 "$no_such" "$spillway" debug dump -s no.such

for command in stat set reclaim debug; do
        refuses 125 "$command: no option '-x'; see 'spillway $command --help'" \
                "$spillway" $command -x
        refuses 125 "$command: option '-s' needs a value; see 'spillway $command --help'" \
                "$spillway" $command -s
done
interval="an interval is 0.1 to 86400 seconds"
for value in '' x 1x 0 0.09 -1 nan 86401; do
        refuses 125 "stat: -i $value: $interval" "$spillway" stat -i "$value"
done
for value in '' x 1x 0 -1 99999999999999999999; do
        refuses 125 "stat: -n $value: lines are 1 or more" \
                "$spillway" stat -i 1 -n "$value"
done
refuses 125 "stat: -n is for lines; give -i SEC as well" "$spillway" stat -n 1
refuses 125 "stat: '1' is one word too many; see 'spillway stat --help'" \
        "$spillway" stat 1
refuses 125 "set: no budget given; add -m SIZE, e.g. -m 512M" "$spillway" set
refuses 125 "-m: 'lots' is no size; write a number with K, M, G, T or % of RAM, e.g. 512M or 50%" \
        "$spillway" set -m lots
refuses 125 "-m 8191K: too small to run anything in; the minimum is 8M" \
        "$spillway" set -m 8191K
refuses 125 "reclaim: no size given; see 'spillway reclaim --help'" \
        "$spillway" reclaim
refuses 125 "reclaim: '2M' is one word too many; see 'spillway reclaim --help'" \
        "$spillway" reclaim 1M 2M
refuses 125 "reclaim: 'much' is no size; write a number with K, M, G, T or % of RAM, e.g. 64M" \
        "$spillway" reclaim much
for size in 0 9999999T 99999999999999999999; do
        refuses 125 "reclaim: '$size' is no size that can be reclaimed" \
                "$spillway" reclaim $size
done
refuses 125 "debug: no check or dump given; see 'spillway debug --help'" \
        "$spillway" debug
refuses 125 "debug: 'walk' is neither check nor dump; see 'spillway debug --help'" \
        "$spillway" debug walk
refuses 125 "debug: 'dump' is one word too many; see 'spillway debug --help'" \
        "$spillway" debug check dump
refuses 125 "debug: --json is for check; see 'spillway debug --help'" \
        "$spillway" debug dump --json

# Help of each: on stdout, less than a screen, no line cut off, all options.
for command in stat set reclaim debug; do
        "$spillway" $command --help >"$dir/help" 2>"$dir/.err" ||
                compare "$command --help" 0 $?
        compare "$command --help" "" "$(cat "$dir/.err")"
        [ "$(wc -l <"$dir/help")" -le 23 ] || compare "$command" "23 lines" "more"
        compare "$command --help" "no long lines" "$(grep -E '.{80}' "$dir/help" ||
                echo no long lines)"
        for option in --json --session --help; do
                grep -q -e "$option" "$dir/help" ||
                        compare "$command --help" "$option" missing
        done
done
for name in '' 7 12 a/b .hidden 'with blank' \
        "$(printf '%065d' 0 | tr 0 x)"; do
        refuses 125 "--name $name: a name has 1 to 64 letters, digits and _ . -, and is no number" \
                "$spillway" run -m 64M --name "$name" -- true
done

# Help is on stdout, fits on a screen of 24 lines beside the next prompt, and no
# line is cut off.
for command in $("$spillway" --help | sed -n 's/^  \([a-z]*\) .*/\1/p') ''; do
        "$spillway" $command --help >"$dir/help" 2>"$dir/err" </dev/null
        compare "exit status" 0 $? "$spillway" $command --help
        compare stderr "" "$(cat "$dir/err")" "$spillway" $command --help
        [ "$(wc -l <"$dir/help")" -le 23 ] ||
                compare help "23 lines" more "$spillway" $command --help
        compare "long lines" "" "$(grep -E '.{80}' "$dir/help")" \
                "$spillway" $command --help
done
"$spillway" run --help >"$dir/help" || failures=1
for option in -m --memory --swap --zswap -p --property --report --metrics --trace --name -v --verbose -h --help; do
        grep -q -e "$option" "$dir/help" || compare help "$option" "missing"
done

# /dev/full stands for a disk that is full: say so instead of success.
"$spillway" --help >/dev/full 2>/dev/null
compare "exit status into a full disk" 125 $?

finish
