/* SPDX-License-Identifier: MIT */
/*
 * The commands of socktune. A new command needs a row in commands.def and a file cmd_<name>.c,
 * which defines its `struct command`. Help, completion and the list in `socktune --help` come from
 * these.
 */
#ifndef SOCKTUNE_COMMANDS_H
#define SOCKTUNE_COMMANDS_H

#include "failure.h"
#include "flags.h"

#include <stddef.h>

/* Exit statuses other than 0 and 1 (EX_CONFIG of sysexits.h, and those of env(1)). */
enum exit_status {
    EXIT_USAGE = 2,
    EXIT_RULES = 78,
    EXIT_CANNOT_RUN = 126,
    EXIT_NOT_FOUND = 127,
};

struct command {
    const char *name;
    const char *summary;      /* one line, lower case, no full stop */
    const char *synopsis;     /* the arguments; one line for each form */
    const char *details;      /* paragraphs that help shows above the flags; NULL: none */
    const struct flag *flags; /* ends with FLAGS_END */
    const char *notes;        /* paragraphs below the flags, such as exit statuses; NULL: none */
    const char *operand;      /* how a shell completes operands, as `words` of a flag */
    bool operands_last;       /* the first operand ends the flags: it begins another command line */
    /* argv[0] is "socktune NAME". Returns the exit status. */
    int (*run)(int argc, char **argv);
};

/* The commands in order, ending with NULL. */
extern const struct command *const commands[];

/* The command of that name, or NULL. */
const struct command *command_find(const char *name);

/* The name of the command nearest to a misspelt one, or NULL if none is near. */
const char *command_nearest(const char *name);

/* Run a command; argv[0] is its bare name. Returns its exit status. */
int command_call(const struct command *command, int argc, char **argv);

/* True if the arguments of the command contain --json, even if they are otherwise wrong. */
bool command_wants_json(void);

/* The command that command_call() is running. */
const struct command *command_running(void);

/* Print the help of a command on standard output; returns 0. */
int command_help(const struct command *command);

/* Print the flags and operands of a command for the completion scripts; help.c describes the
 * format. */
void command_print_completion(const struct command *command);

/* For the running command: print "socktune NAME: MESSAGE" and where to find help on standard error.
 * Returns EXIT_USAGE. */
int command_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
