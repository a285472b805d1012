/* SPDX-License-Identifier: MIT */
/*
 * Command-line flags as a table. Parsing, `--help` and the shells' completion all come from its
 * rows. Parsing is getopt_long(); its `struct option` cannot share a file with ours.
 */
#ifndef SOCKTUNE_FLAGS_H
#define SOCKTUNE_FLAGS_H

#include <stdbool.h>
#include <stddef.h>

enum flag_kind {
    FLAG_SWITCH,   /* target: bool, set to true */
    FLAG_VALUE,    /* target: const char * */
    FLAG_OPTIONAL, /* target: const char *; "" when given without a value (--trace[=FILE]) */
};

struct flag {
    const char *name; /* without "--" */
    char letter;      /* 0: none */
    enum flag_kind kind;
    size_t target;     /* offset of the member that it sets in the command's own struct */
    const char *value; /* how help calls the value ("RULES"); NULL for a switch */
    const char *help;  /* lower case, no full stop; help breaks the lines */
    /* What a shell completes the value to: words separated by spaces, or a kind of things:
     * "<rules>", "<file>", "<program>", "<process>", "<unit>", "<user>", "<option>". NULL: nothing.
     */
    const char *words;
    /* Writes the words that the value may be, separated by ", ", if another table has them; help
     * shows them and shells complete them. NULL: no such table. */
    void (*list)(char *text, size_t size);
};

#define FLAGS_MAX 20

/* Rows that many commands have. */
#define FLAG_RULES(type, member)                                                                   \
    {                                                                                              \
        "config", 'c', FLAG_VALUE, offsetof(type, member), "RULES",                                \
            "rule file, directory of *.conf files or compiled policy [SOCKTUNE_RULES, "            \
            "/etc/socktune.d or /etc/socktune.conf]",                                              \
            "<rules>", NULL                                                                        \
    }
#define FLAG_JSON(type, member)                                                                    \
    {                                                                                              \
        "json", 'j', FLAG_SWITCH, offsetof(type, member), NULL, "print JSON", NULL, NULL           \
    }
#define FLAGS_END                                                                                  \
    {                                                                                              \
        NULL, 0, FLAG_SWITCH, 0, NULL, NULL, NULL, NULL                                            \
    }

/*
 * Parse the arguments of the running command (see commands.h) by its table of flags, into
 * `request`, the struct that the offsets refer to; -h and --help are understood besides. Values are
 * argv's own strings. Returns the index of the first operand in `argv` (operands are moved behind
 * the flags), or -1 when the command is to end with `*status`: help was asked for and given, or the
 * arguments were wrong, which has been reported.
 */
int parse_flags(int argc, char **argv, void *request, int *status);

#endif
