/* SPDX-License-Identifier: MIT */
#include "trial_pairs.h"

/* All of n pairs lie on one side: M(n, 0) = 2^n / (n + 1). */
unsigned trial_pairs_to_decide(unsigned arms)
{
    double wanted = (arms - 1) / TRIAL_ALPHA, power = 2;
    unsigned pairs = 1;
    for (; power / (pairs + 1) < wanted; pairs++)
        power *= 2;
    return pairs;
}

/* All of n pairs lie beyond the limit: the likelihood ratio is 1.5^n. */
unsigned trial_pairs_to_guard(void)
{
    unsigned pairs = 0;
    double ratio = 1;
    for (; ratio < 1 / TRIAL_GUARD_ALPHA; pairs++)
        ratio *= 1.5;
    return pairs;
}

/* A pair takes one connection, and then as many as come until the first one of the other arm. */
double trial_pairs_expected(double connections, uint32_t control_share, uint32_t arm_share)
{
    double odds = (double)arm_share / control_share;
    return connections / (1 + odds + 1 / odds);
}
