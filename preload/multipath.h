/* SPDX-License-Identifier: MIT */
/*
 * Listeners of MPTCP, which also accept plain TCP (fallback.h). Some programs create them by
 * themselves (Go since 1.24); a rule with `transport` does too.
 *
 * listen() asks whether the socket is MPTCP, only in programs with a rule for which it matters.
 * accept() asks about the accepted socket only if there is an MPTCP listener. Async-signal-safe.
 */
#ifndef SOCKTUNE_MULTIPATH_H
#define SOCKTUNE_MULTIPATH_H

#include "late_state.h"
#include "state.h"

#include <stddef.h>

/* Beside the PHASE_BIT()s of the rules in force: a rule exists for which MPTCP listeners matter. */
#define PHASE_FALLBACK PHASE_BIT(PHASE_COUNT)

/* PHASE_FALLBACK, or 0. Pure. */
unsigned multipath_concerns(const struct rules_in_force *rules);

/* Note whether `fd` is an MPTCP listener. `protocols` is the set of protocols that it may have; the
 * kernel is asked only if that is ambiguous. Keeps errno. */
void multipath_note_listener(int fd, unsigned protocols);

/* True if an MPTCP listener exists. */
static inline bool multipath_any(void)
{
    return late_state != NULL &&
           __builtin_expect(__atomic_load_n(&late_state->multipath, __ATOMIC_RELAXED), 0);
}

/* True if `listener` may be an MPTCP listener. One that listen() has not told of, such as one
 * received from another process, may be until its first accept(). The notes go by descriptors: one
 * that is received under the number of an older listener is taken for that one. */
bool multipath_may_be(int listener);

/* True if `fd` is a plain TCP socket, accepted from an MPTCP listener. Changes errno. */
bool multipath_fell_back(int listener, int fd);

#endif
