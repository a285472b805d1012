/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor says: the lines of SOCKTUNE_TRACE, like those of the library, and warnings.
 * Thread-safe: a line is one write.
 */
#ifndef SOCKTUNE_SUPERVISE_TRACE_H
#define SOCKTUNE_SUPERVISE_TRACE_H

#include "target.h"

/* A call in the making. */
struct traced_call {
    const struct policy *policy;
    const struct peer *peer;
    const char *name; /* "connect" */
    int fd;           /* as the program numbers it */
};

/* Where traces go: NULL for nowhere, "stderr", or a file's path. Before any thread starts. */
void supervise_trace_to(const char *where);

bool supervise_tracing(void);

/* For struct application, whose context is a struct traced_call. */
void supervise_tell(const struct application *application, const struct policy_action *action,
                    enum phase phase, enum applied result, int error);

/* The program's own setsockopt of policy->options[option] is swallowed. */
void supervise_tell_swallowed(const struct traced_call *call, const struct sockinfo *sockinfo,
                              uint32_t option);

/* "socktune: ..." on standard error. */
void supervise_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
