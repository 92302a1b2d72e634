#!/bin/bash
# What bash completes, asked of its functions as it asks them itself; and that
# zsh can read its own, and completes commands, options and devices.
#
#       completion.sh SPILLWAY COMPLETIONS
set -u

spillway=$(realpath "$1") files=$(realpath "$2")
bash_completion=/usr/share/bash-completion/bash_completion
failures=0

skip() {
        [ "${failures:-0}" -eq 0 ] || exit 1
        echo "$*"
        exit 77
}

fail() {
        echo "FAIL: $*"
        failures=$((failures + 1))
}

[ -f $bash_completion ] || skip "needs bash-completion"
command -v zsh >/dev/null || skip "needs zsh"

dir=$(mktemp -d) || exit 1
pid=
trap '[ -z "$pid" ] || { kill "$pid"; wait "$pid"; } 2>/dev/null; rm -rf "$dir"' EXIT
export SPILLWAY_CONF=
PATH=$(dirname "$spillway"):$PATH

. $bash_completion
. "$files/spillway.bash"

# complete_line WORD...: what is offered for the last one, in lines.
complete_line() {
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        COMP_LINE="$*"
        COMP_POINT=${#COMP_LINE}
        COMP_TYPE=9
        COMP_KEY=9
        COMPREPLY=()
        _spillway spillway "${!#}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>"$dir/err"
        # compopt has nothing to do outside of a completion.
        grep -v 'not currently executing completion' "$dir/err"
        printf '%s\n' "${COMPREPLY[@]}"
}

# offers 'WANTED...' WORD...: just these, in any order.
offers() {
        local want=$1 got

        shift
        got=$(complete_line "$@" | sort | xargs)
        want=$(printf '%s\n' $want | sort | xargs)
        [ "$got" = "$want" ] || fail "'$*': offers '$got', not '$want'"
}

# includes WANTED WORD...: this one among others.
includes() {
        local want=$1

        shift
        complete_line "$@" | grep -qxF -e "$want" ||
                fail "'$*': no '$want' in '$(complete_line "$@" | xargs)'"
}

commands=$("$spillway" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
offers "$commands --help --version" spillway ''
offers 'freeze' spillway fr
# Each option of each command, as --help has it.
for command in $commands; do
        options=$("$spillway" "$command" --help |
                grep -oE '^ +(-[A-Za-z], )?--[a-z-]+' | tr -d ,)
        [ -n "$options" ] || fail "$command --help has no options"
        offers "$options" spillway "$command" -
done
offers '--memory' spillway run --mem
offers 'auto' spillway run -m a
offers 'zram: file: block:' spillway run --swap ''
offers 'MemoryMax=' spillway run -p MemoryM
offers 'off' spillway run --zswap o
offers 'NAME TYPE SIZE USED PRIO UUID LABEL' spillway show -o ''
offers 'UUID USED' spillway show --output U
offers 'NAME,USED' spillway show -o NAME,US
offers 'LABEL,NAME,UUID' spillway show --output LABEL,NAME,UU
offers 'USED,UUID' spillway show -o USED,U

# Paths, of reports and devices; the shell cuts a word at its colon.
mkdir "$dir/here" && cd "$dir/here" || exit 1
: >report.json
mkdir folder
offers 'report.json folder' spillway run --report ''
offers 'folder' spillway run --swap file:fo
offers 'folder' spillway on file:fo

# The command that is run has its own completion, or is one of all.
includes true spillway run -m 64M tru
includes true spillway run -m 64M -v -- tru
_of_tool() {
        COMPREPLY=("$2-of-tool")
}
complete -F _of_tool tool
offers 'x-of-tool' spillway run -m 64M --swap zram: -- tool x
offers '-y-of-tool' spillway run --report=r -m 64M tool -y

# ---- with a session ----

if [ "$(id -u)" -eq 0 ]; then
        sockets=/run/spillway
else
        sockets=$dir/spillway
        export XDG_RUNTIME_DIR=$dir
fi
name=completion-$$
"$spillway" run -m 64M --name "$name" --swap zram:16M --swap zram:32M -- \
        sleep 600 2>"$dir/session" &
pid=$!
until [ -S "$sockets/$name" ]; do
        kill -0 $pid 2>/dev/null || skip "what spillway run needs: $(cat "$dir/session")"
        sleep 0.02
done
for command in show on off freeze thaw; do
        offers "$name" spillway $command -s completion-$$
        includes "$name" spillway $command --session ''
done
offers 'zram0 zram1' spillway off -s "$name" ''
offers 'zram1' spillway off --session "$name" zram1

# ---- zsh ----

zsh -n "$files/_spillway" || fail 'zsh does not read its completion'
# A terminal of zsh's own, where TAB is pressed; what is there then is said.
cat >"$dir/zsh" <<'END'
zmodload zsh/zpty
zpty z zsh -f -i
{
        zpty -w z "PS1=; fpath=($FILES \$fpath); autoload -U compinit; compinit -u -D
unsetopt zle_bracketed_paste; zstyle ':completion:*' format
said() { print -r -- \"<<\$BUFFER>>\"; zle kill-buffer }
zle -N said; bindkey '^X' said; bindkey '^I' complete-word; echo rea''dy"
        zpty -r z line '*ready*'
        zpty -w -n z "$1"$'\t\x18'
        zpty -r -m z line '*>>*' && print -r -- ${${line##*<<}%%>>*}
} always {
        zpty -d z
}
END
zsh_makes() {
        local got

        got=$(FILES=$files timeout 60 zsh -f "$dir/zsh" "$1")
        [ "$got" = "$2" ] || fail "zsh makes '$got' of '$1', not '$2'"
}
zsh_makes 'spillway fr' 'spillway freeze '
zsh_makes 'spillway show --noh' 'spillway show --noheadings '
# The comma goes again when none is wanted.
zsh_makes 'spillway show -o UU' 'spillway show -o UUID,'
zsh_makes 'spillway show --output NAME,LA' 'spillway show --output NAME,LABEL,'
zsh_makes 'spillway report -o NA' 'spillway report -o NA'
zsh_makes 'spillway run -m a' 'spillway run -m auto '
zsh_makes 'spillway run --memo' 'spillway run --memory '
zsh_makes 'spillway run -p MemoryS' 'spillway run -p MemorySwapMax='
zsh_makes "spillway show -s $name" "spillway show -s $name "
zsh_makes "spillway off -s $name zram" "spillway off -s $name zram"
zsh_makes "spillway off -s $name zram1" "spillway off -s $name zram1 "
zsh_makes 'spillway on file:fol' 'spillway on file:folder'

[ $failures -eq 0 ] || echo "$failures failed"
[ $failures -eq 0 ]
