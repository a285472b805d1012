/* SPDX-License-Identifier: MIT */
/*
 * Errors and warnings about rules, as data: the parser, the checker and the compiler report each
 * one through a sink, so that a command prints them, a test compares them and a fuzzer drops them.
 */
#ifndef SOCKTUNE_DIAGNOSTIC_H
#define SOCKTUNE_DIAGNOSTIC_H

#include <stddef.h>

enum severity { SEVERITY_ERROR, SEVERITY_WARNING };

/* Where something stands. `file` lives as long as the ruleset; line 0: the file as a whole. */
struct location {
    const char *file;
    unsigned line;
};

struct diagnostics {
    /* Called once a finding, in the order found. `message` is one line without its end. May be
     * NULL: findings are only counted. */
    void (*report)(void *context, enum severity severity, struct location at, const char *message);
    /* Called after `report` for a finding at one place of one line: the line and the index of the
     * byte at that place, which may be the line's length. May be NULL. */
    void (*show)(void *context, const char *line, size_t place);
    void *context;
    unsigned errors;
    unsigned warnings;
};

void diagnose(struct diagnostics *diagnostics, enum severity severity, struct location at,
              const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
