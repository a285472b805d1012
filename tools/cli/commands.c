/* SPDX-License-Identifier: MIT */
/*
 * The table of commands, and what they share in speaking to people: usage and failures.
 */
#include "commands.h"
#include "option.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"run", cmd_run, "run a program under rules",
     "[-c RULES] [--trace[=FILE]] [--supervise [--no-io-uring]] [--verbose] [--] PROGRAM "
     "[ARGUMENT...]\n"
     "\n"
     "  -c, --config RULES  rule file, directory of *.conf files or compiled policy\n"
     "                      [SOCKTUNE_RULES, /etc/socktune.d, /etc/socktune.conf]\n"
     "      --trace[=FILE]  tell every decision on standard error or in FILE\n"
     "      --supervise     tune it from outside, not by a preloaded library: for static, Go and\n"
     "                      other programs that preloading does not reach\n"
     "      --no-io-uring   answer io_uring_setup with ENOSYS, so that programs do without it\n"
     "  -v, --verbose       print warnings about the rules too\n"
     "\n"
     "Exits as the program does; with 78 if the rules are wrong, 126 if the program cannot be\n"
     "run, 127 if it is not found, 125 if socktune itself fails.\n"},
    {"check", cmd_check, "tell what is wrong with rules",
     "[--json] [RULES...]\n"
     "\n"
     "RULES is a rule file, a directory of *.conf files or a compiled policy. Without it, those\n"
     "rules are checked that programs get by default: SOCKTUNE_RULES, /etc/socktune.d or\n"
     "/etc/socktune.conf. Prints FILE:LINE: error: (or warning:) and what would be right.\n"
     "\n"
     "  -j, --json  print the findings as JSON\n"
     "\n"
     "Exits with 1 if there is an error, with 0 otherwise.\n"},
    {"compile", cmd_compile, "make the policy that the library reads",
     "RULES [-o FILE]\n"
     "       socktune compile --preload RULES\n"
     "\n"
     "RULES is a rule file or a directory of *.conf files.\n"
     "\n"
     "  -o, --output FILE  where to write; - is standard output [RULES.policy]\n"
     "      --preload      as the library calls it: write to standard output, keep a copy as\n"
     "                     RULES.policy where that may be written, and tell the first error only,\n"
     "                     in one line, with exit status 78\n"},
    {"explain", cmd_explain, "tell which options a socket would get, and why",
     "[-c RULES] --program NAME [--user USER]\n"
     "                        (--socket | --listen ADDR | --connect ADDR | --accept LOCAL,REMOTE)\n"
     "                        [--protocol NAME] [--family NAME] [--json] [-- ARGUMENT...]\n"
     "\n"
     "An address is IP:PORT, [IPv6]:PORT or :PORT. A name with a slash is the path of the\n"
     "program's executable. The arguments are the program's, for rules on its command line.\n"
     "\n"
     "  -c, --config RULES    rule file, directory or compiled policy [as the library finds it]\n"
     "  -p, --program NAME    the program that makes the socket\n"
     "  -u, --user USER       who runs it: a name or a number [you]\n"
     "      --socket          a socket of which no more is known\n"
     "      --listen ADDR     a socket that listens there (of datagrams: is bound there)\n"
     "      --connect ADDR    a socket that connects to there\n"
     "      --accept LOCAL,REMOTE\n"
     "                        a socket accepted at LOCAL from REMOTE; its listener has that port\n"
     "                        and every address\n"
     "      --protocol NAME   tcp, udp, mptcp and so on, as in rules [tcp]\n"
     "      --family NAME     inet, inet6 or unix [as the address]\n"
     "  -j, --json            print JSON\n"},
    {"options", cmd_options, "list the options that rules may set",
     "[NAME] [--json | --names | --man]\n"
     "\n"
     "Prints each option's values, when it is set, whether accepted sockets inherit it, which\n"
     "privilege it needs and whether this kernel has it; with NAME, all about that one.\n"
     "Socktune sees to it that each is set in time. \"Before handshake\" means before connect or\n"
     "listen.\n"
     "\n"
     "  -j, --json   print JSON\n"
     "      --names  print the names alone\n"
     "      --man    print the list of socktune.conf(5), in mdoc(7)\n"},
    {"inspect", cmd_inspect, "show the options of a running program's sockets",
     "PID [--fd N] [--json]\n"
     "       socktune inspect --all [--json]\n"
     "\n"
     "Prints each socket's addresses, state and role, all its options in their own units, and\n"
     "TCP_INFO. Options that a fresh socket has otherwise are marked: * someone set it, ~ the\n"
     "kernel may have done so itself.\n"
     "\n"
     "      --fd N  the socket at that descriptor alone\n"
     "  -a, --all   all processes that you may look into; of options, those that are marked\n"
     "  -j, --json  print JSON\n"
     "\n"
     "Takes the same user and a dumpable process, or root (CAP_SYS_PTRACE).\n"},
    {"apply", cmd_apply, "give a running program's open sockets what rules say",
     "[-c RULES] [--dry-run] [--json] [--watch SECONDS]\n"
     "                      (PID... | --program GLOB | --all)\n"
     "\n"
     "Prints each option that changes, before -> after, and by which rule; and why one cannot be\n"
     "set. The program goes on meanwhile. What a listener is given, its next connections inherit.\n"
     "\n"
     "  -c, --config RULES   rule file, directory or compiled policy [as the library finds it]\n"
     "  -p, --program GLOB   processes by name or path, as in rules\n"
     "  -a, --all            all processes that you may look into and rules are for\n"
     "  -n, --dry-run        tell what would change, and change nothing\n"
     "  -w, --watch SECONDS  go on, and look that often for sockets that have come since\n"
     "  -j, --json           print JSON\n"
     "\n"
     "Exits with 0 if all is as the rules say, with 1 if something could not be set, with 78 if\n"
     "the rules are wrong.\n"},
    {"doctor", cmd_doctor, "tell whether preloading reaches a program",
     "[-c RULES] [--json] PROGRAM | PID\n"
     "\n"
     "PROGRAM is looked up in PATH, as a shell does; a number is a running process (for a program\n"
     "of such a name, write ./NUMBER). Tells what stands in the way and what to do then, which\n"
     "rules are for it, and of a process which sockets it has.\n"
     "\n"
     "  -c, --config RULES  rule file, directory or compiled policy [as the library finds it]\n"
     "  -j, --json          print JSON\n"
     "\n"
     "Exits with 0 if preloading reaches it, with 1 if not or if that cannot be told, with 127 if\n"
     "there is no such program or process.\n"},
    {"stats", cmd_stats, "show the connections that the helper watches",
     "[--closed] [--program GLOB] [--rule NAME] [--role ROLE] [--state STATE] [--reason WHY]\n"
     "[--sort KEY] [--wide | --json]\n"
     "\n"
     "Prints a line for each connection and listener of the programs whose rules say `report =\n"
     "true`, as socktuned(8) knows them: your own, or everyone's for root and the group socktune.\n"
     "A terminal gets the columns that fit; a pipe gets all.\n"
     "\n"
     "      --closed        those that closed last, with their final figures\n"
     "  -p, --program GLOB  of programs of that name\n"
     "  -r, --rule NAME     of that rule\n"
     "      --role ROLE     connect, accept or listen\n"
     "      --state STATE   in that state of TCP: established, close-wait, ...\n"
     "      --reason WHY    closed for that reason: fin, reset, timeout, refused, unanswered,\n"
     "                      aborted, unknown, listener or lost\n"
     "  -s, --sort KEY      by a column: numbers from the largest, texts from A to Z; -KEY the\n"
     "                      other way round [the newest first]. Keys: program, pid, rule, role,\n"
     "                      local, remote, state, reason, age, rtt, rttvar, min_rtt,\n"
     "                      retransmits, loss, congestion, cwnd, rate, sent, received, queue,\n"
     "                      refused, limit, data\n"
     "  -w, --wide          all columns, also at a terminal\n"
     "  -j, --json          the helper's answer: every field of tcp_info, in base units\n"
     "\n"
     "Exits with 1 if the helper does not answer.\n"},
    {"top", cmd_top, "watch the connections that the helper watches, on the full screen",
     "[--closed] [--program GLOB] [--rule NAME] [--role ROLE] [--state STATE] [--reason WHY]\n"
     "[--sort KEY] [--interval SECONDS]\n"
     "\n"
     "Shows the table of `socktune stats`, again and again, and of one connection all figures and\n"
     "how they changed.\n"
     "\n"
     "      --closed            those that closed last\n"
     "  -p, --program GLOB      of programs of that name\n"
     "  -r, --rule NAME         of that rule\n"
     "      --role, --state, --reason, -s, --sort\n"
     "                          as in `socktune stats`\n"
     "  -i, --interval SECONDS  ask the helper that often, 1 to 3600 [2]\n"
     "\n"
     "Keys: arrows, PgUp, PgDn, Home, End choose; Enter shows the chosen one, left and right\n"
     "scroll its figures; s and S sort by the next or the previous column, i the other way round;\n"
     "p, r, o, t, e filter by program, rule, role, state, reason; c shows closed connections;\n"
     "space stops and goes on; h lists the keys; q ends.\n"},
};

static const struct command *running;

const struct command *command_table(size_t *count)
{
    *count = sizeof commands / sizeof *commands;
    return commands;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

const char *command_nearest(const char *name)
{
    const char *names[sizeof commands / sizeof *commands + 1];
    size_t count = 0;

    for (; count < sizeof commands / sizeof *commands; count++)
        names[count] = commands[count].name;
    names[count] = NULL;
    return nearest_word(name, names);
}

int command_run(const struct command *command, int argc, char **argv)
{
    char name[64]; /* getopt_long() names its caller by argv[0] */

    snprintf(name, sizeof name, "socktune %s", command->name);
    argv[0] = name;
    running = command;
    failure_set_command(command->name);
    return command->function(argc, argv);
}

static void print_usage(FILE *to)
{
    fprintf(to, "Usage: socktune %s %s", running->name, running->usage);
}

int command_help(void)
{
    printf("socktune %s: %s\n", running->name, running->summary);
    print_usage(stdout);
    return 0;
}

int command_misuse(const char *format, ...)
{
    if (format) {
        va_list arguments;

        va_start(arguments, format);
        command_complain(format, arguments);
        va_end(arguments);
    }
    print_usage(stderr);
    return EXIT_USAGE;
}
