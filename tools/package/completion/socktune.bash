# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# bash completion for socktune(1) and socktuned(8). The commands, their flags and the words that
# values can be come from `socktune --complete [COMMAND]`; its format is explained in
# tools/cli/help.c.

# Print the words that a kind of things ("<rules>") or a list of words completes to.
_socktune_words()
{
    local process name
    case $1 in
    '<rules>')
        compgen -d -- "$2"
        compgen -f -X '!*.conf' -- "$2"
        compgen -f -X '!*.policy' -- "$2"
        ;;
    '<file>') compgen -f -- "$2" ;;
    '<program>') compgen -c -- "$2" ;;
    '<user>') compgen -u -- "$2" ;;
    '<unit>') compgen -W "$(systemctl list-units --plain --no-legend 2>/dev/null | cut -d ' ' -f 1)" -- "$2" ;;
    '<option>') compgen -W "$("$_socktune" options --names 2>/dev/null)" -- "$2" ;;
    '<process>')
        for process in /proc/[0-9]*; do
            process=${process#/proc/}
            [[ $process == "$2"* ]] || continue
            name=''
            { read -r name <"/proc/$process/comm"; } 2>/dev/null
            echo "$process ($name)"
        done
        ;;
    *) compgen -W "$1" -- "$2" ;;
    esac
}

# Put words into COMPREPLY. A process is listed with its name, but only its number is inserted.
_socktune_reply()
{
    mapfile -t COMPREPLY < <(_socktune_words "$1" "$2" | sort -u)
    if ((${#COMPREPLY[@]} == 1)) && [[ $1 == '<process>' ]]; then
        COMPREPLY=("${COMPREPLY[0]%% *}")
    fi
}

# The word of the line at which another command line begins (`run PROGRAM ...`), or nothing.
_socktune_program()
{
    local i
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --)
            echo $((i + 1))
            return
            ;;
        -*) [[ -v values[${COMP_WORDS[i]}] ]] && ((i++)) ;;
        *)
            echo "$i"
            return
            ;;
        esac
    done
}

_socktune()
{
    local _socktune=${COMP_WORDS[0]} command=${COMP_WORDS[1]} current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]} row letter name kind words program flags=''
    local operand='' operands=''
    local -A values=() # of the flags that take a value: what it completes to

    COMPREPLY=()
    if ((COMP_CWORD == 1)) || { ((COMP_CWORD == 2)) && [[ $command == help ]]; }; then
        words=$("$_socktune" --complete 2>/dev/null | cut -d '|' -f 1)
        ((COMP_CWORD == 1)) && words+=' help --help --version'
        _socktune_reply "$words" "$current"
        return
    fi
    while IFS='|' read -r row letter name kind words _; do
        if [[ $row == operand ]]; then
            operand=$letter operands=$name
            continue
        fi
        flags+=" $name"
        [[ $kind == value ]] || continue
        values[$name]=$words
        [[ -n $letter ]] && values[$letter]=$words
    done < <("$_socktune" --complete "$command" 2>/dev/null)
    if [[ $operands == last ]]; then
        program=$(_socktune_program)
        if [[ -n $program ]] && declare -F _command_offset >/dev/null; then
            _command_offset "$program"
            return
        fi
    fi
    if [[ -v values[$previous] ]]; then
        _socktune_reply "${values[$previous]}" "$current"
    elif [[ $current == -* ]]; then
        _socktune_reply "$flags" "$current"
    elif [[ $command == doctor && $current == [0-9]* ]]; then
        _socktune_reply '<process>' "$current"
    else
        _socktune_reply "$operand" "$current"
    fi
}

_socktuned()
{
    local current=${COMP_WORDS[COMP_CWORD]}
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" --help 2>/dev/null |
            grep -oE -- '--[a-z][a-z-]*' | sort -u)" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -o filenames -F _socktune socktune
complete -o filenames -F _socktuned socktuned
