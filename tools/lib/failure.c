/* SPDX-License-Identifier: MIT */
#include "failure.h"

#include <stdio.h>
#include <stdlib.h>

static const char *command = "";
static char *noted; /* messages, separated by "; " */

void failure_set_command(const char *name)
{
    command = name;
}

void failure_note(const char *message)
{
    char *longer;
    if (asprintf(&longer, "%s%s%s", noted != NULL ? noted : "", noted != NULL ? "; " : "",
                 message) < 0)
        return;
    free(noted);
    noted = longer;
}

const char *failure_noted(void)
{
    return noted;
}

void command_complain(const char *format, va_list arguments)
{
    char *message;
    if (vasprintf(&message, format, arguments) < 0)
        return;
    fprintf(stderr, "socktune %s: %s\n", command, message);
    failure_note(message);
    free(message);
}

int command_failure(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    command_complain(format, arguments);
    va_end(arguments);
    return 1;
}
