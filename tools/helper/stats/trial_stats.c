/* SPDX-License-Identifier: MIT */
/*
 * Medians of sums of counted bins, found by bisection. The theory is in the header.
 */
#include "trial_stats.h"

#include <math.h>
#include <stddef.h>

enum { MIDDLE = TRIAL_BINS / 2 };

void trial_summary_add(struct trial_summary *summary, double logarithm)
{
    double bin = round(logarithm / TRIAL_BIN) + MIDDLE;
    if (isnan(bin))
        return;
    bin = fmin(fmax(bin, 0), TRIAL_BINS - 1);
    summary->bins[(size_t)bin]++;
    summary->count++;
}

/* Returns the bin of the value that has `before` values below it. */
static int bin_at(const struct trial_summary *summary, uint64_t before)
{
    int bin = 0;
    for (uint64_t passed = summary->bins[0]; passed <= before && bin < TRIAL_BINS - 1;)
        passed += summary->bins[++bin];
    return bin;
}

double trial_summary_median(const struct trial_summary *summary)
{
    uint64_t count = summary->count;
    if (count == 0)
        return NAN;
    return exp((bin_at(summary, (count - 1) / 2) + bin_at(summary, count / 2) - 2 * MIDDLE) *
               TRIAL_BIN / 2);
}

/* Counts the pairs whose arm's bin is at most `shift` above the control's. */
static uint64_t pairs_up_to(const struct trial_summary *control, const struct trial_summary *arm,
                            int shift)
{
    uint64_t pairs = 0, arm_passed = 0;
    for (int bin = 0, passed = 0; bin < TRIAL_BINS; bin++) {
        for (; passed < TRIAL_BINS && passed <= bin + shift; passed++)
            arm_passed += arm->bins[passed];
        pairs += arm_passed * control->bins[bin];
    }
    return pairs;
}

/* Returns the smallest shift up to which there are more than `before` pairs. */
static int shift_at(const struct trial_summary *control, const struct trial_summary *arm,
                    uint64_t before)
{
    int low = -TRIAL_BINS, high = TRIAL_BINS;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (pairs_up_to(control, arm, middle) > before)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

double trial_ratio(const struct trial_summary *control, const struct trial_summary *arm)
{
    uint64_t pairs = control->count * arm->count;
    if (pairs == 0)
        return NAN;
    return exp((shift_at(control, arm, (pairs - 1) / 2) + shift_at(control, arm, pairs / 2)) *
               TRIAL_BIN / 2);
}

/* log M(n, above) */
static double log_mixture(double n, double above)
{
    int sign;
    return n * M_LN2 - log(n + 1) - lgamma_r(n + 1, &sign) + lgamma_r(above + 1, &sign) +
           lgamma_r(n - above + 1, &sign);
}

/* Returns the number n for which fewer than n pairs on one side are too few for a median; 0: no
 * number is too small. */
static uint64_t least_on_a_side(uint64_t count, double alpha)
{
    uint64_t low = 0, high = count / 2 + 1;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (log_mixture((double)count, (double)middle) >= -log(alpha))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct trial_interval trial_interval_of(const struct trial_summary *pairs, double alpha)
{
    uint64_t least = least_on_a_side(pairs->count, alpha);
    if (least == 0)
        return (struct trial_interval){0, INFINITY};
    return (struct trial_interval){
        exp((bin_at(pairs, least - 1) - MIDDLE - 0.5) * TRIAL_BIN),
        exp((bin_at(pairs, pairs->count - least) - MIDDLE + 0.5) * TRIAL_BIN)};
}

bool trial_guard_trips(const struct trial_guard_count *count)
{
    return (double)count->beyond * log(1.5) - (double)count->within * M_LN2 >=
           -log(TRIAL_GUARD_ALPHA);
}
