/* SPDX-License-Identifier: MIT */
/*
 * The statistics of trials, compared with published and exact numbers, and their rate of false
 * positives.
 */
#include "tcp_info.h"
#include "trial_count.h"
#include "trial_stats.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct trial_summary summary_of(const double *logarithms, size_t count)
{
    struct trial_summary summary = {0};
    for (size_t i = 0; i < count; i++)
        trial_summary_add(&summary, logarithms[i]);
    return summary;
}

/* Permeability constants of the human chorioamnion (Hollander and Wolfe, Nonparametric Statistical
 * Methods, 1973, p. 69), the example of R's wilcox.test(): with conf.int = TRUE it estimates 0.305.
 * All are multiples of a bin, so the result is exact. */
Test(trial_stats, the_estimate_is_that_of_hodges_and_lehmann)
{
    const double term[] = {0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46};
    const double early[] = {1.15, 0.88, 0.90, 0.74, 1.21};
    struct trial_summary control = summary_of(early, 5), arm = summary_of(term, 10);
    cr_assert_float_eq(log(trial_ratio(&control, &arm)), 0.305, 1e-9);
    cr_assert_float_eq(log(trial_ratio(&arm, &control)), -0.305, 1e-9);
    cr_assert_float_eq(log(trial_summary_median(&control)), 0.90, 1e-9);
    cr_assert_float_eq(log(trial_summary_median(&arm)), 1.415, 1e-9);
}

Test(trial_stats, ties_count_half_to_each_side)
{
    const double tied[] = {0, 0}, mixed[] = {0, 1};
    struct trial_summary control = summary_of(tied, 2), arm = summary_of(mixed, 2);
    cr_assert_float_eq(trial_ratio(&control, &control), 1, 1e-9);
    /* the differences are 0, 0, 1 and 1 */
    cr_assert_float_eq(trial_ratio(&control, &arm), exp(0.5), 1e-9);
    cr_assert(isnan(trial_ratio(&control, &(struct trial_summary){0})));
}

/* 2^7/8 = 16 is below 20, 2^8/9 = 28.4 is not. */
Test(trial_stats, eight_pairs_are_the_least_that_decide)
{
    struct trial_summary pairs = {0};
    struct trial_interval interval;
    for (int i = 0; i < 7; i++)
        trial_summary_add(&pairs, 0.5);
    interval = trial_interval_of(&pairs, 0.05);
    cr_assert(interval.low <= 0 && isinf(interval.high));
    trial_summary_add(&pairs, 0.5);
    interval = trial_interval_of(&pairs, 0.05);
    cr_assert(interval.low > 1.6 && interval.high < 1.7, "%g %g", interval.low, interval.high);
}

/* The helper requires the number of pairs that `socktune check` predicts. */
Test(trial_stats, the_numbers_of_pairs_that_decide_are_those_foretold)
{
    for (unsigned arms = 2; arms <= POLICY_TRIAL_ARMS_MAX; arms++) {
        struct trial_summary pairs = {0};
        unsigned count = 0;
        for (; trial_interval_of(&pairs, TRIAL_ALPHA / (arms - 1)).low <= 1; count++)
            trial_summary_add(&pairs, 0.5);
        cr_expect_eq(count, trial_pairs_to_decide(arms), "%u arms: %u", arms, count);
    }
    cr_expect_eq(trial_pairs_to_decide(2), 8);
    cr_expect(trial_guard_trips(&(struct trial_guard_count){trial_pairs_to_guard(), 0}));
    cr_expect_not(trial_guard_trips(&(struct trial_guard_count){trial_pairs_to_guard() - 1, 0}));
}

/* With 100 pairs, M(100, 34) = 2^100 / (101 * binomial(100, 34)) = 21.6 is at least 20, and
 * M(100, 35) = 11.5 is not. So the bounds are the 36th value from either end. */
Test(trial_stats, the_bounds_are_order_statistics)
{
    struct trial_summary pairs = {0};
    struct trial_interval interval;
    for (int i = 1; i <= 100; i++)
        trial_summary_add(&pairs, i * 0.02);
    interval = trial_interval_of(&pairs, 0.05);
    cr_assert_float_eq(log(interval.low), 35 * 0.02 - 0.005, 1e-9);
    cr_assert_float_eq(log(interval.high), 66 * 0.02 + 0.005, 1e-9);
}

Test(trial_stats, a_guard_needs_four_pairs_in_a_row)
{
    cr_assert_not(trial_guard_trips(&(struct trial_guard_count){3, 0}));
    cr_assert(trial_guard_trips(&(struct trial_guard_count){4, 0}));
    cr_assert_not(trial_guard_trips(&(struct trial_guard_count){5, 1}));
    cr_assert(trial_guard_trips(&(struct trial_guard_count){6, 1}));
}

/* Whole trials */

#define TRIALS      1000
#define CONNECTIONS 150

static uint64_t state = 88172645463325252u;

/* Marsaglia's xorshift, so the test is reproducible. */
static double uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.0;
}

static void end_connection(struct trial_state *trial, unsigned arm, uint64_t began, double seconds)
{
    struct tcp_info_bytes info = {.length = 280};
    trial_count_connection(trial, arm,
                           &(struct trial_connection){.began = began,
                                                      .duration = (uint64_t)(seconds * 1e9),
                                                      .info = &info},
                           began);
}

static bool is_decided(const struct trial_state *trial)
{
    struct trial_interval interval = trial_interval_of(&trial->arms[1].pairs, TRIAL_ALPHA);
    return interval.low > 1 || interval.high < 1;
}

/* Evaluated after each pair, for a figure with drift, jumps and long tails. */
static bool finds_a_difference(struct trial_state *trial, double ratio)
{
    double level = 0.01;
    uint64_t pairs = 0;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        unsigned arm = uniform() < 0.5;
        level *= uniform() < 0.02 ? 5 : 1.01;
        end_connection(trial, arm, 0, level / (uniform() + 1e-3) * (arm != 0 ? ratio : 1));
        if (trial->arms[1].pairs.count != pairs && is_decided(trial))
            return true;
        pairs = trial->arms[1].pairs.count;
    }
    return false;
}

/* The real pairing, compared with the computed mean. */
Test(trial_count, connections_make_as_many_pairs_as_foretold)
{
    static const uint32_t shares[][2] = {{1, 1}, {9, 1}, {1, 4}};
    static struct trial_state trial;
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        double part = (double)shares[i][1] / (shares[i][0] + shares[i][1]);
        memset(&trial, 0, sizeof trial);
        trial.text = (struct trial_text){.arms = 2, .metric = TRIAL_duration, .most = UINT64_MAX};
        for (unsigned j = 0; j < 20000; j++)
            end_connection(&trial, uniform() < part, 0, 1);
        double foretold = trial_pairs_expected(20000, shares[i][0], shares[i][1]);
        cr_expect_float_eq((double)trial.arms[1].pairs.count, foretold, foretold * 0.05, "%g %g",
                           (double)trial.arms[1].pairs.count, foretold);
    }
}

static unsigned count_found(double ratio)
{
    static struct trial_state trial;
    unsigned found = 0;
    for (unsigned i = 0; i < TRIALS; i++) {
        memset(&trial, 0, sizeof trial);
        trial.text = (struct trial_text){.arms = 2, .metric = TRIAL_duration, .most = UINT64_MAX};
        found += finds_a_difference(&trial, ratio);
    }
    return found;
}

Test(trial_stats, equal_arms_are_told_apart_in_at_most_five_percent)
{
    unsigned found = count_found(1);
    /* `make proof` reads this line. */
    cr_log_info("differences found: %u of %u\n", found, TRIALS);
    cr_assert_leq(found, TRIALS / 20, "%u of %u", found, TRIALS);
}

Test(trial_stats, arms_that_differ_much_are_told_apart)
{
    unsigned found = count_found(0.02);
    cr_assert_geq(found, TRIALS * 95 / 100, "%u of %u", found, TRIALS);
}

#define UNIT UINT64_C(10000000000)

/* One connection per second. */
static uint64_t run_interval(struct trial_state *trial, uint64_t interval, double seconds)
{
    unsigned arm = trial_arm_of_interval(trial->text.seed, 2, interval);
    uint64_t begin = interval * UNIT;
    for (uint64_t at = 0; at < UNIT; at += UNIT / 10) {
        trial_settle(trial, begin + at);
        end_connection(trial, arm, begin + at, arm != 0 ? seconds : 0.1);
    }
    return begin + UNIT;
}

Test(trial_count, a_harmful_arm_is_stopped_within_ten_intervals)
{
    static struct trial_state trial;
    char reason[TRIAL_REASON];
    uint64_t interval = 100;
    trial.text = (struct trial_text){.seed = 7,
                                     .unit_ns = UNIT,
                                     .arms = 2,
                                     .metric = TRIAL_duration,
                                     .most = UINT64_MAX,
                                     .guards = {[TRIAL_duration] = 50}};
    while (!trial_is_due_to_end(&trial, reason) && interval < 200)
        run_interval(&trial, interval++, 0.3);
    cr_assert_leq(interval - 100, 10);
    cr_assert_not_null(strstr(reason, "duration"), "%s", reason);
    cr_assert_eq(trial.arms[0].warming * 4, trial.arms[0].connections, "a fifth is left out");
}

Test(trial_count, what_ends_long_after_its_interval_is_late)
{
    static struct trial_state trial;
    struct tcp_info_bytes info = {.length = 280};
    trial.text = (struct trial_text){
        .unit_ns = UNIT, .arms = 2, .metric = TRIAL_duration, .most = UINT64_MAX};
    trial_count_connection(
        &trial, 1,
        &(struct trial_connection){.began = UNIT / 2, .duration = 4 * UNIT, .info = &info},
        UNIT / 2 + 4 * UNIT);
    cr_assert_eq(trial.arms[1].late, 1);
    cr_assert_eq(trial.arms[1].connections, 0);
}
