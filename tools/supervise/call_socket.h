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
 * given. Returns 0, or the errno with which the call must fail. */
int call_tune(const struct call_context *call, const struct socket_handle *socket,
              struct sockinfo *sockinfo, unsigned phases);

/* The backlog that listen() is to be called with, where the program passes `backlog`. */
int call_backlog(const struct call_context *call, const struct socket_handle *socket,
                 struct sockinfo *sockinfo, int backlog);

/* Is this a connection that was accepted? Some five system calls. */
bool call_is_accepted(const struct socket_handle *socket);

/* Give an accepted socket what its listener could not pass on. `sockinfo` is that of
 * sockinfo_at_accept(). */
void call_tune_accepted(const struct call_context *call, const struct socket_handle *socket,
                        struct sockinfo *sockinfo);

/* Give an accepted socket of plain TCP what its listener, one of MPTCP, could not be given
 * (fallback.h). */
void call_tune_fallen_back(const struct call_context *call, const struct socket_handle *socket);

/* The program's own setsockopt(): what it passes, as far as it was read. */
struct call_setting {
    int level, optname;
    const void *value;
    socklen_t length; /* of what was read */
};

/*
 * Do what the rules say about the program's own setting of an option on this socket. True if the
 * call is to succeed without being made: an ignored option stays as it is, a forced one has been
 * given the rule's value. False if the call is to go on: no rule is against it, or the kernel
 * refuses the rule's value, so that the socket has at least the program's.
 */
bool call_set_option(const struct call_context *call, const struct socket_handle *socket,
                     const struct call_setting *setting);

#endif
