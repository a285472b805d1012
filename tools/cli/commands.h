/* SPDX-License-Identifier: MIT */
/*
 * The commands of socktune: a table with one row a command (tools/commands.c), one file a command.
 *
 * A new command is a function here, its file cmd_NAME.c, and a row in `commands[]` in commands.c;
 * help, the list in `socktune --help` and the completions follow from the row.
 */
#ifndef SOCKTUNE_COMMANDS_H
#define SOCKTUNE_COMMANDS_H

#include "failure.h"

#include <stddef.h>

/* Exit statuses beside 0 and 1 (EX_CONFIG of sysexits.h, and those of env(1)). */
enum exit_status {
    EXIT_USAGE = 2,
    EXIT_RULES = 78,
    EXIT_CANNOT_RUN = 126,
    EXIT_NOT_FOUND = 127,
};

struct command {
    const char *name;
    /* Gets its own arguments; argv[0] is "socktune NAME". Returns the exit status. */
    int (*function)(int argc, char **argv);
    const char *summary; /* one line, lower case, no full stop */
    const char *usage;   /* what follows "Usage: socktune NAME ", then lines on each argument */
};

/* The table, in the order in which help shows it. */
const struct command *command_table(size_t *count);

/* The row of that name, or NULL. */
const struct command *command_find(const char *name);

/* The name of the command nearest to a misspelt one, or NULL if none is near. */
const char *command_nearest(const char *name);

/* Run a command with argv[0] being its bare name; returns its exit status. */
int command_run(const struct command *command, int argc, char **argv);

/* For the running command. Its usage on standard output; returns 0 (for --help). */
int command_help(void);
/* "socktune NAME: MESSAGE" and the usage on standard error; returns EXIT_USAGE. With NULL, the
 * usage alone: getopt_long() has told the reason. */
int command_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

int cmd_apply(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_compile(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_options(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_top(int argc, char **argv);

#endif
