/* SPDX-License-Identifier: MIT */
/*
 * A systemd unit's drop-in file: what puts the programs of a unit under rules.
 */
#ifndef SOCKTUNE_UNIT_DROPIN_H
#define SOCKTUNE_UNIT_DROPIN_H

#include <stdbool.h>

#define UNIT_NAME_SIZE 256

/* Where drop-ins are: below `root` (NULL: "/"), of the system's units or the calling user's. */
struct unit_place {
    const char *root;
    bool user;
};

/* The one service that the command line names, with ".service" if it has no suffix. Returns 0, or
 * an exit status after a message. */
int unit_read_operand(int count, char *const *words, char name[UNIT_NAME_SIZE]);

/* The path of the unit's drop-in, malloc()ed; NULL with errno. */
char *unit_dropin_path(const struct unit_place *place, const char *unit);

/* True if there is a file at `path` that `socktune enable` has not written, or that cannot be read.
 */
bool unit_dropin_is_foreign(const char *path);

/* The whole drop-in around lines of its section [Service], malloc()ed; NULL without memory. */
char *unit_dropin_text(const char *unit, const char *assignments);

/* Print the commands by which a changed drop-in takes effect. */
void unit_print_restart(const struct unit_place *place, const char *unit);

/* Write `value` into `text` as an assignment of Environment=, with the escapes that systemd wants.
 * False if it does not fit. */
bool unit_environment_line(char *text, unsigned size, const char *name, const char *value);

/* The line that attaches rules to the unit each time it starts; `command` is the path of socktune.
 * A failure does not keep the unit from starting. False if it does not fit. */
bool unit_attach_line(char *text, unsigned size, const char *command, const char *rules);

#endif
