/* SPDX-License-Identifier: MIT */
/*
 * What the rules do to the socket of a notified call. Everything reaches the socket through a
 * handle (socket_ops.h): the supervisor passes a duplicate, the unit tests a fake.
 */
#ifndef SOCKTUNE_CALL_SOCKET_H
#define SOCKTUNE_CALL_SOCKET_H

#include "target.h"

/* A notified call of a target. */
struct call_context {
    const struct target_context *context;
    struct target *target;
    int fd;           /* as the program numbers it */
    const char *name; /* "connect" */
};

/* What is given when an accepted socket is first seen. */
#define CALL_ACCEPT_PHASES (PHASE_BIT(PHASE_ACCEPT) | PHASE_BIT(PHASE_ACCEPT_WILDCARD))

/* Give what the rules say at `phases` (PHASE_BIT()s of one call), after what socket() should have
 * given. */
void call_tune(const struct call_context *call, const struct socket_handle *socket,
               struct sockinfo *sockinfo, unsigned phases);

/* Is this a connection that was accepted? Some five system calls. */
bool call_is_accepted(const struct socket_handle *socket);

/* Give an accepted socket what its listener could not pass on. */
void call_tune_accepted(const struct call_context *call, const struct socket_handle *socket);

/*
 * Is the program's own setting of policy->options[option] to have no effect on this socket? A
 * forced value is given to the socket at once; if the kernel refuses it, the answer is false, so
 * that the socket has at least the program's value.
 */
bool call_guard(const struct call_context *call, const struct socket_handle *socket,
                uint32_t option);

#endif
