/* SPDX-License-Identifier: MIT */
/*
 * Command-line flags as a table: each names where its value goes. A shell around getopt_long(),
 * whose `struct option` cannot share a file with ours.
 */
#ifndef SOCKTUNE_FLAGS_H
#define SOCKTUNE_FLAGS_H

#include <stdbool.h>

enum flag_kind {
    FLAG_SWITCH,   /* target: bool *, set to true */
    FLAG_VALUE,    /* target: const char ** */
    FLAG_OPTIONAL, /* target: const char **; "" when given without a value (--trace[=FILE]) */
};

struct flag {
    const char *name; /* without "--" */
    char letter;      /* 0: none */
    enum flag_kind kind;
    void *target;
};

#define FLAGS_MAX 16

enum operand_order {
    OPERANDS_ANYWHERE, /* flags may follow operands */
    OPERANDS_LAST,     /* the first operand ends the flags: it is another program's command line */
};

/*
 * Carry out the flags, a table that ends with a NULL name; -h and --help are understood besides.
 * Values are argv's own strings. Returns the index of the first operand in `argv` (operands are
 * moved behind the flags), or -1 when the command is to end with `*status`: help was asked for and
 * given, or the usage was.
 */
int parse_flags(int argc, char **argv, const struct flag *flags, enum operand_order order,
                int *status);

#endif
