/* SPDX-License-Identifier: MIT */
/*
 * Listeners of MPTCP, which also accept plain TCP (fallback.h). Programs make them by themselves
 * (Go since 1.24), or a rule does (`transport`).
 *
 * Whether a listener is one is asked at listen(), in programs that have a rule to which it matters.
 * Only when there is one, accept() asks what it has returned. Async-signal-safe.
 */
#ifndef SOCKTUNE_MULTIPATH_H
#define SOCKTUNE_MULTIPATH_H

#include "late_state.h"
#include "state.h"

#include <stddef.h>

/* Beside the PHASE_BIT()s of the rules in force: there are some to which it matters. */
#define PHASE_FALLBACK PHASE_BIT(PHASE_COUNT)

/* PHASE_FALLBACK, or 0. Pure. */
unsigned multipath_concerns(const struct rules_in_force *rules);

/* Note what has been found out about a listener: `protocols` is a set of what it may be, and the
 * listener is asked only if that leaves it open. Keeps errno. */
void multipath_note_listener(int fd, unsigned protocols);

/* May there be a listener of MPTCP? */
static inline bool multipath_any(void)
{
    return late_state != NULL &&
           __builtin_expect(__atomic_load_n(&late_state->multipath, __ATOMIC_RELAXED), 0);
}

/* Is `fd` a plain TCP socket, accepted from a listener of MPTCP? Changes errno. */
bool multipath_fell_back(int listener, int fd);

#endif
