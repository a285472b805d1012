/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor says: the lines of SOCKTUNE_TRACE, like those of the library, and warnings.
 * Thread-safe: a line is one write.
 */
#ifndef SOCKTUNE_SUPERVISE_TRACE_H
#define SOCKTUNE_SUPERVISE_TRACE_H

#include "apply_options.h"
#include "supervise_peer.h"

/* A call in the making. */
struct traced_call {
    const struct peer *peer;
    const char *name; /* "connect" */
    int fd;           /* as the program numbers it */
};

/* Where traces go: NULL for nowhere, "stderr", or a file's path. Before any thread starts. */
void supervise_trace_to(const char *where);

bool supervise_tracing(void);

/* The `tell` of an applier; `context` is a struct traced_call. */
void supervise_tell(void *context, const struct subject *subject,
                    const struct policy_action *action, enum applied result, int error);

/* The program's own setsockopt of policy->options[option] is swallowed. */
void supervise_tell_swallowed(const struct traced_call *call, const struct subject *subject,
                              uint32_t option);

/* "socktune: ..." on standard error. */
void supervise_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
