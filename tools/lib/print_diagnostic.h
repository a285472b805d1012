/* SPDX-License-Identifier: MIT */
/*
 * Prints findings about rules; and the context of this process for the checker.
 */
#ifndef SOCKTUNE_PRINT_DIAGNOSTIC_H
#define SOCKTUNE_PRINT_DIAGNOSTIC_H

#include "rules.h"

/* Returns whether this process has CAP_NET_ADMIN. */
struct check_context current_context(void);

/* A sink of diagnostics that prints "FILE:LINE: error: MESSAGE" on the stream `context` (FILE
 * *). */
void print_diagnostic(void *context, enum severity severity, struct location at,
                      const char *message);

/* The same, only for errors. */
void print_error(void *context, enum severity severity, struct location at, const char *message);

/* Print the line of a finding, with a caret below the place; `context` is the same stream. */
void print_place(void *context, const char *line, size_t place);

#endif
