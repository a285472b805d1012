/* SPDX-License-Identifier: MIT */
/*
 * Plain TCP connections to a listener of MPTCP: accept() returns a TCP socket for them. It has what
 * the listener was given, but the listener is an MPTCP socket: it takes no rule on TCP alone, and
 * refuses options that MPTCP has not. These are given at accept().
 */
#ifndef SOCKTUNE_FALLBACK_H
#define SOCKTUNE_FALLBACK_H

#include "match.h"
#include "socket_ops.h"

/* The phases at which a listener is given what its accepted sockets inherit. */
#define FALLBACK_PHASES                                                                            \
    (PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_LISTEN) | PHASE_BIT(PHASE_LISTENING))

/* Is there anything among the active rules that such a socket would lack? Pure. */
bool fallback_concerns(const struct policy *policy, const struct active *active);

/*
 * Decide for such a socket, just accepted: `sockinfo` becomes that of an accepted TCP socket, and
 * the decision has the actions of FALLBACK_PHASES that its listener did not have; none of those
 * that are due at the phases `later` (PHASE_BIT()s). Changes errno. Async-signal-safe.
 */
void fallback_decide(const struct policy *policy, const struct active *active,
                     const struct socket_handle *socket, unsigned later, struct sockinfo *sockinfo,
                     struct decision *decision);

#endif
