/* SPDX-License-Identifier: MIT */
/*
 * The statistics of a trial: how much larger a figure is in one arm than in the control arm, and
 * how sure that is. Pure functions over summaries of a fixed size; one thread uses them, no locks.
 *
 * Figures are compared as ratios, so all is done on natural logarithms. A summary counts logarithms
 * in bins that are 1 % wide; a ratio is therefore exact to half a percent.
 *
 * Estimate. The ratio is that of Hodges and Lehmann (1963): the median of the ratios of all pairs
 * {figure of the arm, figure of the control}. Where the middle falls between two values, it is
 * their (geometric) mean, so ties count half to each side, as with mid-ranks.
 *
 * Interval. Each figure of the arm is paired with one of the control from nearly the same moment.
 * At the true median ratio, a pair lies above with probability 1/2, as a fair coin. For a fair coin
 * the mixture of all likelihood ratios (uniform prior) is a martingale that starts at 1:
 *
 *     M(n, above) = 2^n / ((n + 1) * binomial(n, above))
 *
 * so by Ville's inequality (1939) it ever reaches 1/alpha with probability alpha at most, however
 * often one looks. A ratio stays in the interval while M is below 1/alpha there. See Robbins
 * (1970), and Howard and Ramdas (2022), "Sequential estimation of quantiles ...", Bernoulli 28(3).
 * Pairs that are tied with a ratio count for it on both sides: the interval is then wider than need
 * be, never narrower.
 *
 * Guard. Wald's sequential test (1945) of "half of the pairs lie above the limit" against "three
 * quarters do", at TRIAL_GUARD_ALPHA: four pairs in a row are enough.
 */
#ifndef SOCKTUNE_HELPER_TRIAL_STATS_H
#define SOCKTUNE_HELPER_TRIAL_STATS_H

#include "trial_pairs.h"

#include <stdbool.h>
#include <stdint.h>

#define TRIAL_BIN  0.01 /* width, of the logarithm */
#define TRIAL_BINS 6145 /* odd: the middle one is that of 1; values from 5e-14 to 2e13 */

/* How many values have a logarithm in each bin. What lies outside counts in the outermost. */
struct trial_summary {
    uint64_t count;
    uint32_t bins[TRIAL_BINS];
};

/* Add the natural logarithm of a value. */
void trial_summary_add(struct trial_summary *summary, double logarithm);

/* The median of the values (not of their logarithms), or NAN where there is none. */
double trial_summary_median(const struct trial_summary *summary);

/* The Hodges-Lehmann ratio of `arm` to `control`, or NAN where one of them is empty. */
double trial_ratio(const struct trial_summary *control, const struct trial_summary *arm);

struct trial_interval {
    double low;  /* 0 while there are too few pairs */
    double high; /* INFINITY while there are too few pairs */
};

/* The interval of the median ratio, of the ratios of pairs; holds at all times together with
 * probability 1 - alpha. */
struct trial_interval trial_interval_of(const struct trial_summary *pairs, double alpha);

/* Pairs that lie beyond a limit, and that do not. */
struct trial_guard_count {
    uint64_t beyond;
    uint64_t within;
};

/* Is it sure enough, at TRIAL_GUARD_ALPHA, that more than half of all pairs lie beyond? */
bool trial_guard_trips(const struct trial_guard_count *count);

#endif
