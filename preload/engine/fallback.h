/* SPDX-License-Identifier: MIT */
/*
 * Plain TCP connections to an MPTCP listener: accept() returns a TCP socket for them. It inherits
 * what the listener was given. But the listener is an MPTCP socket: rules for TCP only do not match
 * it, and it refuses options that MPTCP lacks. accept() sets those.
 */
#ifndef SOCKTUNE_FALLBACK_H
#define SOCKTUNE_FALLBACK_H

#include "match.h"
#include "socket_ops.h"

/* The phases at which a listener gets what its accepted sockets inherit. */
#define FALLBACK_PHASES                                                                            \
    (PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_LISTEN) | PHASE_BIT(PHASE_LISTENING))

/* True if an active rule sets something that such a socket does not inherit. Pure. */
bool fallback_concerns(const struct policy *policy, const struct active *active);

/* Decide for an accepted socket of the listener's own protocol: which actions have given such a
 * socket the values that it has from its listener. Changes errno. Async-signal-safe. */
void fallback_decide_listener(const struct policy *policy, const struct active *active,
                              const struct socket_handle *socket, struct decision *decision);

/*
 * Decide for such a socket, just accepted. `sockinfo` becomes that of an accepted TCP socket.
 * `decision` becomes the actions of FALLBACK_PHASES that the listener did not have, without those
 * that are due at the phases `later` (PHASE_BIT()s). Changes errno. Async-signal-safe.
 */
void fallback_decide(const struct policy *policy, const struct active *active,
                     const struct socket_handle *socket, unsigned later, struct sockinfo *sockinfo,
                     struct decision *decision);

#endif
