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
  freeze   take a running session out of memory, and keep it out
  thaw     let a frozen session go on
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
refuses 1 "no session 'no.such' of yours is running; it is a pid of 'spillway run' or what --name gave it" \
        "$spillway" show -s no.such
for name in '' 7 12 a/b .hidden 'with blank' \
        "$(printf '%065d' 0 | tr 0 x)"; do
        refuses 125 "--name $name: a name has 1 to 64 letters, digits and _ . -, and is no number" \
                "$spillway" run -m 64M --name "$name" -- true
done

# Help is complete, fits on a screen of 24 lines, and no line is cut off.
"$spillway" run --help >"$dir/help" || failures=1
for option in -m --memory --swap --zswap --report --trace --name -v --verbose -h --help; do
        grep -q -e "$option" "$dir/help" || compare help "$option" "missing"
done
[ "$(wc -l <"$dir/help")" -le 23 ] || compare help "23 lines" "more"
compare help "no long lines" "$(grep -E '.{80}' "$dir/help" ||
        echo no long lines)"

# /dev/full stands for a disk that is full: say so instead of success.
"$spillway" --help >/dev/full 2>/dev/null
compare "exit status into a full disk" 125 $?

finish
