/* SPDX-License-Identifier: MIT */
#include "failure.h"
#include "utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *command = "";
static char *noted; /* messages, separated by "; " */
static size_t noted_length;

/* Thousands of errors in a rule file are not all of use in one string. */
enum { NOTED_MAX = 8192 };

void failure_set_command(const char *name)
{
    command = name;
}

void failure_note(const char *message)
{
    char *longer;
    bool more = noted_length + strlen("; ") + strlen(message) > NOTED_MAX;
    int length;
    if (noted_length > NOTED_MAX)
        return;
    length = asprintf(&longer, "%s%s%s", noted != NULL ? noted : "", noted != NULL ? "; " : "",
                      more ? "..." : message);
    if (length < 0)
        return;
    noted_length = more ? NOTED_MAX + 1 : (size_t)length;
    free(noted);
    noted = longer;
}

const char *failure_noted(void)
{
    return noted;
}

void command_complain(const char *format, va_list arguments)
{
    char *printable = utf8_vprintable(format, arguments);
    if (printable == NULL)
        return;
    fprintf(stderr, "socktune %s: %s\n", command, printable);
    failure_note(printable);
    free(printable);
}

int command_failure(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    command_complain(format, arguments);
    va_end(arguments);
    return 1;
}
