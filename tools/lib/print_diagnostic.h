/* SPDX-License-Identifier: MIT */
/*
 * Print findings about rules; and the context of this process for the checker.
 */
#ifndef SOCKTUNE_PRINT_DIAGNOSTIC_H
#define SOCKTUNE_PRINT_DIAGNOSTIC_H

#include "rules.h"

/* Whether this process may do what CAP_NET_ADMIN allows. */
struct check_context current_context(void);

/* Sink of diagnostics that prints "FILE:LINE: error: MESSAGE" on the stream `context` (FILE *). */
void print_diagnostic(void *context, enum severity severity, struct location at,
                      const char *message);

/* The same for errors alone. */
void print_error(void *context, enum severity severity, struct location at, const char *message);

/* Prints the line below its finding, with a caret under the place; `context` is the same stream. */
void print_place(void *context, const char *line, size_t place);

#endif
