/* SPDX-License-Identifier: MIT */
/*
 * Error messages of the running command, on standard error.
 */
#ifndef SOCKTUNE_FAILURE_H
#define SOCKTUNE_FAILURE_H

#include <stdarg.h>

/* Set the name of the running command ("run") for the messages below. The string is not copied. */
void failure_set_command(const char *name);

/* Store a message for the JSON document of the failure; return the stored messages, or NULL: the
 * first 8 KB of them, with "..." behind if there were more. */
void failure_note(const char *message);
const char *failure_noted(void);

/* Print "socktune NAME: MESSAGE", and store the message. */
void command_complain(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* The same; returns 1, the exit status of a failed command. */
int command_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
