/* SPDX-License-Identifier: MIT */
/*
 * The lines of SOCKTUNE_TRACE, one for each decision. The library and the supervisor write the same
 * lines; only the process and the way of writing them differ. Nothing here makes a system call.
 * Async-signal-safe.
 */
#ifndef SOCKTUNE_TRACE_LINE_H
#define SOCKTUNE_TRACE_LINE_H

#include "apply.h"
#include "text.h"

#define TRACE_LINE_BYTES 512

/* What the lines of one program begin with, and the policy that they cite. */
struct trace_program {
    const struct policy *policy;
    const char *name; /* of the program */
    long pid;
};

/* The socket that a line is about. */
struct trace_socket {
    const char *call; /* "connect" */
    int fd;           /* as the program numbers it */
    const struct sockinfo *sockinfo;
};

/* The call that a phase belongs to. */
const char *trace_call_name(enum phase phase);

/* "socktune[PID] NAME: " */
void trace_line_begin(struct text *line, const struct trace_program *program);

/* A whole line, without its end: what became of an action. `error` is an errno, or 0. */
void trace_line_action(struct text *line, const struct trace_program *program,
                       const struct trace_socket *socket, const struct policy_action *action,
                       enum applied result, int error);

/* The same: the program's own setsockopt of policy->options[option] was not carried out. `held`:
 * the action that holds against it (struct guard), or NO_ACTION; of a bound it says what was given.
 */
void trace_line_swallowed(struct text *line, const struct trace_program *program,
                          const struct trace_socket *socket, uint32_t option, uint32_t held);

/* End the line with a newline, also where it was cut off. */
void trace_line_end(struct text *line);

#endif
