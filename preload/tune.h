/* SPDX-License-Identifier: MIT */
/*
 * The three steps of a hook: subject, match, apply. Everything here is async-signal-safe,
 * thread-safe and fork-safe, keeps errno, and makes system calls only for what a rule needs.
 */
#ifndef SOCKTUNE_TUNE_H
#define SOCKTUNE_TUNE_H

#include "state.h"

/* True if an active rule acts at any of these moments (MOMENT_BIT()s): the hooks' first question.
 */
static inline bool tunes_at(unsigned moments)
{
    return __builtin_expect((state.moments & moments) != 0, 0);
}

/*
 * Match `subject` and carry out, on `fd`, what wins at the moment. Facts that a rule needs are
 * asked of the kernel and added to the subject. Keeps errno.
 */
void tune(int fd, struct subject *subject, enum moment moment);

/* The same in two steps, where a call lies between decision and application, or more moments than
 * that of the call are to be decided for. */
void tune_decide(int fd, struct subject *subject, enum moment moment, unsigned moments,
                 struct decision *decision);
void tune_apply(int fd, const struct subject *subject, const struct decision *decision,
                unsigned moments);

/* The `transport` that socket() is to ask for (OP_TRANSPORT), or NULL. */
const struct policy_action *tune_transport(const struct decision *decision,
                                           const struct subject *subject);

#endif
