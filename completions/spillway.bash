# bash completion for spillway(1). Commands and options are read from --help, so
# that a new one is completed without a word here; what follows an option is
# told by the option's name.

_spillway_commands() {
        "$1" --help 2>/dev/null </dev/null |
                sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

_spillway_options() {
        "$1" "$2" --help 2>/dev/null </dev/null |
                sed -n 's/^ *\(-[A-Za-z]\), \(--[a-z-]*\).*/\1 \2/p
                        s/^ *\(--[a-z-]*\).*/\1/p'
}

_spillway_sessions() {
        local dir=/run/spillway socket

        [ "$(id -u)" -eq 0 ] || dir=${XDG_RUNTIME_DIR:-/nowhere}/spillway
        for socket in "$dir"/*; do
                [ ! -S "$socket" ] || echo "${socket##*/}"
        done
}

# The devices of the session that the words before name, or of the only one.
_spillway_devices() {
        local i session=()

        for ((i = 2; i < cword; i++)); do
                case ${words[i]} in
                -s | --session) session=(-s "${words[i + 1]}") ;;
                esac
        done
        "$1" show "${session[@]}" --raw --noheadings 2>/dev/null </dev/null |
                cut -d ' ' -f 1
}

# Of a list of columns, those that are not in it yet.
_spillway_columns() {
        local listed= column

        [[ $cur != *,* ]] || listed=${cur%,*},
        for column in NAME TYPE SIZE USED PRIO UUID LABEL; do
                [[ ,$listed == *,$column,* ]] || echo "$listed$column"
        done
}

# KIND:ARGS, of which the shell may have made several words.
_spillway_spec() {
        case $cur in
        file:* | block:*)
                local kind=${cur%%:*} path=${cur#*:}

                compopt -o filenames -o nospace 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$path")
                COMPREPLY=("${COMPREPLY[@]/#/$kind:}")
                ;;
        *)
                compopt -o nospace 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -W "zram: file: block:" -- "$cur")
                ;;
        esac
        __ltrim_colon_completions "$cur"
}

_spillway_words() {
        mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur")
}

# Where the command of `run` begins: the first word that is neither an option
# nor the value of one. 0: not yet.
_spillway_command_at() {
        local i

        for ((i = 2; i < cword; i++)); do
                case ${words[i]} in
                --)
                        echo $((i + 1))
                        return
                        ;;
                --*=* | -v | --verbose | -h | --help) ;;
                -*) ((i++)) ;;
                *)
                        echo "$i"
                        return
                        ;;
                esac
        done
        echo 0
}

# What follows the option $2; fails where it takes nothing that is known.
_spillway_value() {
        case $2 in
        -o | --output)
                [ "${words[1]}" = show ] || return 1
                compopt -o nospace 2>/dev/null
                _spillway_words "$(_spillway_columns)"
                ;;
        -s | --session) _spillway_words "$(_spillway_sessions)" ;;
        -m | --memory) _spillway_words auto 25% 50% 512M 1G 2G ;;
        --swap) _spillway_spec ;;
        --zswap) _spillway_words off 64M 256M 1G ;;
        -p | --property)
                compopt -o nospace 2>/dev/null
                _spillway_words MemoryHigh= MemoryMax= MemorySwapMax=
                ;;
        --report) _filedir ;;
        --name) ;;
        *) return 1 ;;
        esac
}

_spillway() {
        local cur prev words cword at

        _init_completion -n := || return
        if [ "$cword" -eq 1 ]; then
                _spillway_words "$(_spillway_commands "$1") --help --version"
                return
        fi
        if [ "${words[1]}" = run ]; then
                at=$(_spillway_command_at)
                if [ "$at" -gt 0 ]; then
                        _command_offset "$at"
                        return
                fi
        fi
        ! _spillway_value "$1" "$prev" || return 0
        case ${words[1]},$cur in
        *,-*) _spillway_words "$(_spillway_options "$1" "${words[1]}")" ;;
        run,*) _command_offset "$cword" ;;
        on,*) _spillway_spec ;;
        off,*) _spillway_words "$(_spillway_devices "$1")" ;;
        esac
} && complete -F _spillway spillway
