/* SPDX-License-Identifier: MIT */
/*
 * What can be compared in a trial, and the line by which a program tells the helper of an arm.
 */
#ifndef SOCKTUNE_TRIAL_TEXT_H
#define SOCKTUNE_TRIAL_TEXT_H

#include "policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trial_metric {
#define METRIC(name, more_is_better, description) TRIAL_##name,
#include "trial_metrics.def"
#undef METRIC
    TRIAL_METRICS
};

struct trial_metric_row {
    const char *name;
    bool more_is_better;
    const char *description;
};

/* TRIAL_METRICS rows. */
extern const struct trial_metric_row trial_metrics[];

/*
 * The definition of one arm as the helper gets it, from a program that it does not trust: the
 * fields of struct policy_trial and what only the helper needs, as one line of numbers.
 */
struct trial_text {
    uint64_t id; /* a hash of the definition of the whole trial: another one, another trial */
    uint64_t seed;
    uint64_t unit_ns;
    uint64_t most;
    uint32_t low;
    uint32_t high;
    uint32_t name_length; /* the rule is called TRIAL/ARM: the length of TRIAL */
    uint32_t number;
    uint32_t arm;
    uint32_t arms;
    uint32_t metric;
    int32_t guards[TRIAL_METRICS];
};

#define TRIAL_TEXT_SIZE 320 /* bytes that hold any text */

void trial_text_write(const struct trial_text *trial, char text[TRIAL_TEXT_SIZE]);

/* False if it is none, or a number in it is out of its range. Pure. */
bool trial_text_read(const char *text, struct trial_text *trial);

#endif
