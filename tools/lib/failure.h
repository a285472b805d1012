/* SPDX-License-Identifier: MIT */
/*
 * Error messages of the running command, on standard error.
 */
#ifndef SOCKTUNE_FAILURE_H
#define SOCKTUNE_FAILURE_H

#include <stdarg.h>

/* Name the running command ("run") for the messages below. The string is kept, not copied. */
void failure_set_command(const char *name);

/* Keep a message for the JSON document of the failure; return all that were kept, or NULL. */
void failure_note(const char *message);
const char *failure_noted(void);

/* Print "socktune NAME: MESSAGE", and keep the message. */
void command_complain(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/* The same; returns 1, the exit status of a command that failed. */
int command_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
