/* SPDX-License-Identifier: MIT */
/*
 * The lines of SOCKTUNE_TRACE that the supervisor writes; the library writes the same ones.
 * Thread-safe: a line is one write.
 */
#ifndef SOCKTUNE_CALL_TRACE_H
#define SOCKTUNE_CALL_TRACE_H

#include "target.h"

/* A call in the making. */
struct traced_call {
    const struct policy *policy;
    const struct target *target;
    const char *name; /* "connect" */
    int fd;           /* as the program numbers it */
    int failure;      /* errno with which the call must fail, or 0 */
};

/* Where traces go: NULL for nowhere, "stderr", or a file's path. Before any thread starts. */
void call_trace_to(const char *where);

bool call_trace_is_on(void);

/* For struct application, whose context is a struct traced_call. */
void call_trace_action(const struct application *application, const struct policy_action *action,
                       enum phase phase, enum applied result, int error);

/* trace_line_swallowed() */
void call_trace_swallowed(const struct traced_call *call, const struct sockinfo *sockinfo,
                          uint32_t option, uint32_t held);

#endif
