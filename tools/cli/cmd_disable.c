/* SPDX-License-Identifier: MIT */
/*
 * socktune disable: removes what `socktune enable` wrote.
 */
#include "commands.h"
#include "unit_dropin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct disable_arguments {
    struct unit_place place;
};

static int disable_unit(const struct unit_place *place, const char *unit)
{
    char *path = unit_dropin_path(place, unit), *slash;
    int status = EXIT_SUCCESS;
    if (path == NULL)
        return command_failure("%s", strerror(errno));
    if (unit_dropin_is_foreign(path)) {
        status = command_failure("%s is not by `socktune enable`: remove it yourself", path);
    } else if (unlink(path) != 0) {
        status = errno == ENOENT ? command_failure("%s is not enabled: there is no %s", unit, path)
                                 : command_failure("cannot remove %s: %s", path, strerror(errno));
    } else {
        printf("Removed %s. For it to take effect:\n\n", path);
        unit_print_restart(place, unit);
        slash = strrchr(path, '/');
        *slash = '\0';
        rmdir(path); /* fails if other drop-ins are there */
    }
    free(path);
    return status;
}

static int cmd_disable(int argc, char **argv)
{
    struct disable_arguments arguments = {.place = {.root = NULL}};
    char unit[UNIT_NAME_SIZE];
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    status = unit_read_operand(argc - first, argv + first, unit);
    return status != 0 ? status : disable_unit(&arguments.place, unit);
}

static const struct flag flags[] = {
    {"user", 0, FLAG_SWITCH, offsetof(struct disable_arguments, place.user), NULL,
     "a unit of your own systemd instance", NULL, NULL},
    {"root", 0, FLAG_VALUE, offsetof(struct disable_arguments, place.root), "DIR",
     "below DIR, in the image of another system", "<file>", NULL},
    FLAGS_END,
};

const struct command disable_command = {
    .name = "disable",
    .summary = "remove a systemd unit from rules",
    .synopsis = "UNIT [--user] [--root DIR]",
    .details = "Removes the drop-in that `socktune enable` wrote. Prints what has to be restarted.",
    .flags = flags,
    .operand = "<unit>",
    .run = cmd_disable,
};
