/* SPDX-License-Identifier: MIT */
/* Warnings about trials that cannot be decided, or not within a sensible time. */
#include "check.h"

#include "rule_trial.h"
#include "trial_pairs.h"

#include <inttypes.h>
#include <stdio.h>

#define DAY_NS         (UINT64_C(86400) * 1000000000)
#define DAYS_MAX       7 /* a trial that takes longer at least is warned about */
#define NEEDS_TEXT_MAX 96

static bool has_guard(const struct trial *trial)
{
    for (unsigned i = 0; i < TRIAL_METRICS; i++)
        if (trial->guards[i] != 0)
            return true;
    return false;
}

/* "a decision needs at least 8 pairs, and the guard 4" */
static const char *needs_text(const struct trial *trial, char text[NEEDS_TEXT_MAX])
{
    int used = snprintf(text, NEEDS_TEXT_MAX, "a decision needs at least %u pairs",
                        trial_pairs_to_decide(trial->arm_count));
    if (has_guard(trial))
        snprintf(text + used, NEEDS_TEXT_MAX - (size_t)used, ", and the guard %u",
                 trial_pairs_to_guard());
    return text;
}

/* The pairs that this part of all connections makes with the control arm. */
static double pairs_of_arm(const struct trial *trial, unsigned arm, double connections)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < trial->arm_count; i++)
        total += trial->arms[i].share;
    uint32_t control = trial->arms[0].share, share = trial->arms[arm].share;
    return trial_pairs_expected(connections * ((double)control + share) / (double)total, control,
                                share);
}

static void check_connections(const struct checker *checker, const struct trial *trial)
{
    unsigned fewest = 1, needed = trial_pairs_to_decide(trial->arm_count);
    char needs[NEEDS_TEXT_MAX];
    for (unsigned i = 2; i < trial->arm_count; i++)
        if (pairs_of_arm(trial, i, 1) < pairs_of_arm(trial, fewest, 1))
            fewest = i;
    double pairs = pairs_of_arm(trial, fewest, (double)trial->most);
    if (pairs < needed)
        warn(checker, trial->at,
             "trial: after %" PRIu64 " connections (most), the arm \"%s\" will have about %.0f "
             "pairs with the control arm, but %s: raise most to %" PRIu64 " or more, or make the "
             "shares more equal",
             trial->most, trial->arms[fewest].name, pairs, needs_text(trial, needs),
             (uint64_t)(needed / pairs_of_arm(trial, fewest, 1) + 0.999));
}

/* Each pair takes an interval of each arm, with at least one connection in it. */
static void check_intervals(const struct checker *checker, const struct trial *trial)
{
    uint64_t needed = (uint64_t)trial_pairs_to_decide(trial->arm_count) * trial->arm_count;
    double days = (double)needed * (double)trial->unit_ns / DAY_NS;
    char needs[NEEDS_TEXT_MAX];
    if (trial->most < needed)
        warn(checker, trial->at,
             "trial: %s, so at least %" PRIu64 " intervals with a connection in each: the trial "
             "ends after %" PRIu64 " connections (most) without a decision",
             needs_text(trial, needs), needed, trial->most);
    if (days > DAYS_MAX)
        warn(checker, trial->at,
             "trial: %s, so at least %" PRIu64 " intervals: that takes at least %.1f days: choose "
             "a shorter unit",
             needs_text(trial, needs), needed, days);
}

void check_trial(const struct checker *checker, const struct trial *trial)
{
    if (trial->unit_ns == 0)
        check_connections(checker, trial);
    else
        check_intervals(checker, trial);
}
