# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# bash completion for socktune(1). Commands and options of the kernel are asked of the command
# itself.

_socktune_commands()
{
    "$1" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z]*\) .*/\1/p'
}

# The words of one command that begin with a dash, from its help.
_socktune_flags()
{
    "$1" "$2" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u
}

_socktune_processes()
{
    local process
    for process in /proc/[0-9]*; do
        echo "${process#/proc/}"
    done
}

# The keys of `stats --sort`, from its help.
_socktune_sort_keys()
{
    "$1" stats --help 2>/dev/null |
        sed -n '/Keys: /,/^  -w/{s/.*Keys: //;/^  -w/d;s/,/ /gp}'
}

# The place of the program in the line of `run`, or nothing.
_socktune_program()
{
    local i
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -c | --config) ((i++)) ;;
        --)
            echo $((i + 1))
            return
            ;;
        -*) ;;
        *)
            echo "$i"
            return
            ;;
        esac
    done
}

_socktune()
{
    local socktune=${COMP_WORDS[0]} command=${COMP_WORDS[1]} current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]} words='' program

    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$(_socktune_commands "$socktune") --help --version" \
            -- "$current")
        return
    fi
    if [[ $command == run ]]; then
        program=$(_socktune_program)
        if [[ -n $program ]] && declare -F _command_offset >/dev/null; then
            _command_offset "$program"
            return
        fi
    fi
    case $previous in
    -c | --config | -o | --output)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    -u | --user)
        mapfile -t COMPREPLY < <(compgen -u -- "$current")
        return
        ;;
    -p | --program)
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
        return
        ;;
    -s | --sort) words=$(_socktune_sort_keys "$socktune") ;;
    --family) words='inet inet6 unix' ;;
    --role) words='connect accept listen' ;;
    --state)
        words='established syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait close close-wait'
        words+=' last-ack listen closing'
        ;;
    --reason) words='fin reset timeout refused unanswered aborted unknown listener lost' ;;
    --protocol)
        words='tcp mptcp sctp dccp udp udplite icmp raw unix-stream unix-dgram'
        ;;
    --listen | --connect | --accept | --fd | --watch | -r | --rule | -i | --interval) return ;;
    -w)
        [[ $command == apply ]] && return
        words=$(_socktune_flags "$socktune" "$command")
        ;;
    *)
        if [[ $current == -* ]]; then
            words=$(_socktune_flags "$socktune" "$command")
        else
            case $command in
            options) words=$("$socktune" options --names 2>/dev/null) ;;
            stats | top) ;;
            inspect | apply) words=$(_socktune_processes) ;;
            run | doctor)
                mapfile -t COMPREPLY < <(compgen -c -- "$current")
                return
                ;;
            *)
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
                ;;
            esac
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o filenames -F _socktune socktune
