/* SPDX-License-Identifier: MIT */
/*
 * The statistics of a trial: by how much a figure is larger in one arm than in the control arm, and
 * how certain that is. Pure functions on summaries of fixed size; one thread, no locks.
 *
 * Figures are compared as ratios, so all calculations use natural logarithms. A summary counts
 * logarithms in bins that are 1 % wide; a ratio is therefore exact to half a percent.
 *
 * Estimate. The ratio is that of Hodges and Lehmann (1963): the median of the ratios of all pairs
 * {figure of the arm, figure of the control}. If the middle is between two values, it is their
 * (geometric) mean, so ties count half to each side, as with mid-ranks.
 *
 * Interval. Each figure of the arm is paired with one of the control from nearly the same moment.
 * At the true median ratio, a pair is above with probability 1/2, like a fair coin. For a fair coin
 * the mixture of all likelihood ratios (uniform prior) is a martingale that starts at 1:
 *
 *     M(n, above) = 2^n / ((n + 1) * binomial(n, above))
 *
 * so by Ville's inequality (1939) it ever reaches 1/alpha with probability alpha at most, however
 * often it is evaluated. A ratio stays in the interval while M is below 1/alpha there. See Robbins
 * (1970), and Howard and Ramdas (2022), "Sequential estimation of quantiles ...", Bernoulli 28(3).
 * Pairs that are tied with a ratio count for it on both sides: the interval is then wider than
 * necessary, never narrower.
 *
 * Guard. Wald's sequential test (1945) of "half of the pairs are above the limit" against "three
 * quarters are", at TRIAL_GUARD_ALPHA: four consecutive pairs are enough.
 */
#ifndef SOCKTUNE_HELPER_TRIAL_STATS_H
#define SOCKTUNE_HELPER_TRIAL_STATS_H

#include "trial_pairs.h"

#include <stdbool.h>
#include <stdint.h>

#define TRIAL_BIN  0.01 /* width, of the logarithm */
#define TRIAL_BINS 6145 /* odd: the middle bin is for the value 1; values from 5e-14 to 2e13 */

/* The number of values with a logarithm in each bin. Values outside count in the outermost bin. */
struct trial_summary {
    uint64_t count;
    uint32_t bins[TRIAL_BINS];
};

/* Add the natural logarithm of a value. */
void trial_summary_add(struct trial_summary *summary, double logarithm);

/* Returns the median of the values (not of their logarithms), or NAN if there is none. */
double trial_summary_median(const struct trial_summary *summary);

/* Returns the Hodges-Lehmann ratio of `arm` to `control`, or NAN if one of them is empty. */
double trial_ratio(const struct trial_summary *control, const struct trial_summary *arm);

struct trial_interval {
    double low;  /* 0 while there are too few pairs */
    double high; /* INFINITY while there are too few pairs */
};

/* Returns the interval of the median of the pairs' ratios. With probability 1 - alpha it contains
 * the true ratio at all times. */
struct trial_interval trial_interval_of(const struct trial_summary *pairs, double alpha);

/* Number of pairs beyond a limit, and of those within. */
struct trial_guard_count {
    uint64_t beyond;
    uint64_t within;
};

/* True if it is certain enough, at TRIAL_GUARD_ALPHA, that more than half of all pairs are beyond
 * the limit. */
bool trial_guard_trips(const struct trial_guard_count *count);

#endif
