/* SPDX-License-Identifier: MIT */
#include "failure.h"

#include <stdio.h>

static const char *command = "";

void failure_set_command(const char *name)
{
    command = name;
}

void command_complain(const char *format, va_list arguments)
{
    fprintf(stderr, "socktune %s: ", command);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int command_failure(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    command_complain(format, arguments);
    va_end(arguments);
    return 1;
}
