/* SPDX-License-Identifier: MIT */
/*
 * Command-line flags as a table. Parsing, `--help` and shell completion all use its rows. Parsing
 * is done by getopt_long(); its `struct option` cannot be used in the same file as ours.
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
    size_t target;     /* offset of the member in the command's own struct */
    const char *value; /* the name of the value in help ("RULES"); NULL for a switch */
    const char *help;  /* lower case, no full stop; wrapped automatically */
    /* How a shell completes the value: words separated by spaces, or a kind of value: "<rules>",
     * "<file>", "<program>", "<process>", "<unit>", "<user>", "<option>". NULL: not at all. */
    const char *words;
    /* Writes the possible words of the value, separated by ", ", if another table has them; help
     * and completion show them. NULL: no such table. */
    void (*list)(char *text, size_t size);
};

#define FLAGS_MAX 20

/* Rows that many commands share. */
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
 * Parse the arguments of the running command (see commands.h) by its table of flags into `request`,
 * the struct that the offsets refer to; -h and --help are accepted too. Values point into argv.
 * Returns the index of the first operand in `argv` (operands are moved behind the flags), or -1 if
 * the command must end with `*status`: help was printed, or a wrong argument was reported.
 */
int parse_flags(int argc, char **argv, void *request, int *status);

#endif
