#!/bin/sh
# top.sh: `spillway top` in a terminal, as somebody uses it: its screen, its keys,
# a window that changes its size, terminals that cannot, and the end.
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"
need_spillway
need python3 tmux

name=e2e-top-$$
export LC_ALL=C.UTF-8
unset TMUX NO_COLOR

# ---- a session of two programs, one of which is larger ----
start() {
	rm -f "$tmp/stop"
	"$tool" clean timeout -k 5 120 "$SPILLWAY" run -m 32M --name "$name" \
		--swap zram:128M,prio=5 -- \
		sh -c 'python3 "$1" "$2" 16 & exec python3 "$1" "$2" 40' \
		sh "$here/body.py" "$tmp/stop" >"$tmp/run.out" 2>&1 </dev/null &
	until_true is_paging || fail "nothing goes out: $(cat "$tmp/run.out")"
}

# Both programs are managed, and something of the larger one is out.
is_paging() {
	[ "$("$SPILLWAY" ps -s "$name" --raw --bytes --noheadings 2>/dev/null |
		awk '/ yes .*body.py/ { n++; m += $4 } END { print (n == 2 && m > 8000000) }')" = 1 ]
}

# What comes after would wait in vain.
give_up() {
	fail "$*"
	finish
}

# ---- a terminal ----
terminal() {
	tmux -L "$name" -f /dev/null "$@"
}
trap 'status=$?; terminal kill-server 2>/dev/null; cleanup; exit $status' EXIT

# open COLUMNSxLINES [VARIABLE=VALUE]...: top in a shell, whose prompt comes back.
open() {
	size=$1
	shift
	shell="env TERM=screen-256color PS1='prompt> ' sh -i"
	if terminal has-session 2>/dev/null; then
		terminal respawn-pane -k "$shell"
		terminal resize-window -x "${size%x*}" -y "${size#*x}"
	else
		terminal new-session -d -x "${size%x*}" -y "${size#*x}" "$shell"
	fi
	until_true shows 'prompt>' || give_up "no terminal"
	keys "env $* '$SPILLWAY' top -s $name -d 0.2; echo status=\$?" Enter
	until_true shows "^spillway top: session $name" ||
		give_up "top does not come: $(screen)"
}

keys() {
	terminal send-keys "$@"
}

screen() {
	terminal capture-pane -p
}

shows() {
	screen | grep -q -- "$1"
}

# Numbers and bars are what they are, and a path is cut off somewhere.
shape() {
	screen | sed -e "s/$name/NAME/" -e 's/|/ /g' \
		-e '/^[> ] *[0-9]/s/%  [^ ].*/% COMMAND/' \
		-e 's/^[> ] *\([0-9]\)/  \1/' \
		-e 's/[0-9][0-9.]*[KMG]\{0,1\}/N/g' -e 's/  */ /g' \
		-e 's/ $//' -e '/^$/d'
}

# waits PATTERN: until the screen shows it.
waits() {
	until_true shows "$1" || give_up "waited for '$1': $(screen)"
}

start
open 80x24
waits '^> *[0-9]'
cat >"$tmp/want" <<'END'
spillway top: session NAME, N processes
Budget   [] N% N of N
Swapped N   faults N/s   in N/s   out N/s   stalled N%

     PID *RESIDENT  SWAPPED  FAULTS/S   STALL  COMMAND
  N N N N N% COMMAND
  N N N N N% COMMAND











 DEVICE                         TYPE      SIZE    USED              FULL  RATIO
 zramN                          zram N N [] N% N
h help  q quit  s sort  p page out  + - m budget
END
sed -i -e 's/  */ /g' -e '/^$/d' "$tmp/want"
like_wanted() {
	shape | sed 's/\[ *\]/[]/' >"$tmp/got"
	cmp -s "$tmp/got" "$tmp/want"
}
until_true like_wanted ||
	give_up "the screen is not as it should be: $(diff "$tmp/want" "$tmp/got")"

# ---- keys ----
keys s
waits '\*SWAPPED'
keys '<'
waits '\*RESIDENT'
keys '<'
waits '\*PID'
keys Home
first_is_selected() {
	[ "$(screen | awk 'NR == 6 { print $1 }')" = '>' ]
}
until_true first_is_selected || give_up "home does not select: $(screen)"
first=$(screen | awk 'NR == 6 { print $2 }')
keys Down
selected_is_second() {
	[ "$(screen | awk 'NR == 7 { print $1 }')" = '>' ]
}
until_true selected_is_second || fail "down does not select: $(screen)"
keys Up
waits "^> *$first "
keys '?'
waits 'select a process'
keys x
waits 'DEVICE'
keys p
waits "[0-9.]*[KMG] of process $first went out"
keys m
waits '^New budget: _'
keys 1q2x BSpace BSpace
waits '^New budget: 1q_'
keys Enter
waits "^'1q' is no size; write 512M, or 1.5G"

# ---- any size ----
terminal resize-window -x 120 -y 40
waits '^ zram0 .* zram .*%  *[0-9.]*$'
until_true [ "$(screen | wc -l)" = 40 ] || fail "not 40 lines"
keys Up # what was said goes with the next key
terminal resize-window -x 40 -y 8
device_is_gone() {
	! shows DEVICE && shows '^>' && shows '^h help'
}
until_true device_is_gone || give_up "a small window: $(screen)"

# ---- it ends, and the terminal is as before ----
restored() {
	shows "status=$1" && shows "top -s" && ! shows 'RESIDENT' &&
		[ "$(terminal display -p '#{cursor_flag}#{alternate_on}')" = 10 ]
}
keys q
until_true restored 0 || fail "q does not give the terminal back: $(screen)"
keys 'echo typed' Enter
waits '^typed'

open 80x24 NO_COLOR=1
waits '^>'
terminal capture-pane -p -e | grep -q "$(printf '\033')\[[0-9;]*[34][0-7]" &&
	fail "NO_COLOR has colours"
keys C-c
gone_from_screen() {
	! shows RESIDENT
}
until_true gone_from_screen || give_up "Ctrl-C does not end it: $(screen)"
keys 'echo status=$?' Enter # the shell forgot the rest of the line
until_true restored 130 || fail "Ctrl-C leaves the terminal: $(screen)"

# ---- where it cannot be ----
says() {
	want=$1
	pattern=$2
	shift 2
	said=$("$@" 2>&1 </dev/null)
	status=$?
	is_said "$want" "$pattern" "$*"
}
says 125 "this is no terminal" "$SPILLWAY" top -s "$name"
says 125 "a number of seconds from 0.1 to 3600" "$SPILLWAY" top -d 0
says 125 "a number of seconds from 0.1 to 3600" "$SPILLWAY" top -d 1x
keys "TERM=dumb '$SPILLWAY' top; echo status=\$?" Enter
waits "the terminal 'dumb' cannot draw a screen; 'spillway ps' lists"
keys clear Enter "TERM=no-such '$SPILLWAY' top -s $name; echo status=\$?" Enter
waits "is known of the terminal 'no-such'"
keys clear Enter "'$SPILLWAY' top -s no.such; echo status=\$?" Enter
waits "no session 'no.such' of yours is running"

# ---- the session ends ----
open 80x24
waits '^>'
touch "$tmp/stop"
waits "^spillway: the session $name has ended"
until_true restored 0 || fail "the end of a session: $(screen)"
terminal kill-server
wait
finish
