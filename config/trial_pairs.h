/* SPDX-License-Identifier: MIT */
/*
 * How many pairs of figures a trial needs before it can be decided. A pair is one figure of an arm
 * and one of the control arm, from nearly the same moment. tools/helper/stats/trial_stats.h has the
 * statistics behind this. Pure functions.
 */
#ifndef SOCKTUNE_TRIAL_PAIRS_H
#define SOCKTUNE_TRIAL_PAIRS_H

#include <stdint.h>

#define TRIAL_ALPHA       0.05 /* errors of the interval; the compared arms share them */
#define TRIAL_GUARD_ALPHA 0.2

/* The fewest pairs that can decide one of the arms, in a trial with so many arms (at least 2). */
unsigned trial_pairs_to_decide(unsigned arms);

/* The fewest pairs that can set off a guard. */
unsigned trial_pairs_to_guard(void);

/*
 * How many pairs so many connections of the two arms make on average, where each connection gets
 * its arm by itself. The shares are those of the arms, at least 1 each.
 */
double trial_pairs_expected(double connections, uint32_t control_share, uint32_t arm_share);

#endif
