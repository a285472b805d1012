/* SPDX-License-Identifier: MIT */
/*
 * The lines of SOCKTUNE_TRACE, one for each decision. The library and the supervisor write the same
 * lines; only the process and the way of writing differ. Nothing here makes a system call.
 * Async-signal-safe.
 */
#ifndef SOCKTUNE_TRACE_LINE_H
#define SOCKTUNE_TRACE_LINE_H

#include "apply.h"
#include "text.h"

#define TRACE_LINE_BYTES 512

/* The program that a line names at its beginning, and the policy that it cites. */
struct trace_program {
    const struct policy *policy;
    const char *name; /* of the program */
    long pid;
};

/* The socket that a line describes. */
struct trace_socket {
    const char *call; /* "connect" */
    int fd;           /* the program's number */
    const struct sockinfo *sockinfo;
};

/* The name of the call that belongs to a phase. */
const char *trace_call_name(enum phase phase);

/* Write "socktune[PID] NAME: ". */
void trace_line_begin(struct text *line, const struct trace_program *program);

/* Write a line, without its end, about the result of an action. `error` is an errno, or 0. */
void trace_line_action(struct text *line, const struct trace_program *program,
                       const struct trace_socket *socket, const struct policy_action *action,
                       enum applied result, int error);

/* Write a line about a setsockopt() of the program for policy->options[option] that was not carried
 * out. `held` is the action that replaces it (struct guard), or NO_ACTION; for a bound the line
 * says what was set. */
void trace_line_swallowed(struct text *line, const struct trace_program *program,
                          const struct trace_socket *socket, uint32_t option, uint32_t held);

/* End the line with a newline, even if it was truncated. */
void trace_line_end(struct text *line);

#endif
