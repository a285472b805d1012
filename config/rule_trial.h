/* SPDX-License-Identifier: MIT */
/*
 * A trial as a rule file has it: some arms, each with options of its own, and how they are
 * compared. Each arm becomes a rule (struct rule) that names its trial.
 */
#ifndef SOCKTUNE_RULE_TRIAL_H
#define SOCKTUNE_RULE_TRIAL_H

#include "diagnostic.h"
#include "trial_text.h"

struct trial_arm {
    const char *name;
    uint32_t share; /* compared with those of the other arms */
    struct location at;
};

struct trial {
    const char *name; /* of its rule */
    struct location at;
    struct trial_arm arms[POLICY_TRIAL_ARMS_MAX];
    unsigned arm_count;
    uint64_t seed;
    uint64_t unit_ns; /* 0: by connection */
    uint64_t most;    /* connections, after which the trial is over */
    uint16_t number;  /* in the ruleset */
    uint8_t metric;   /* enum trial_metric */
    /* By enum trial_metric: the ratio to the control arm at which an arm ends the trial, as a
     * change in percent; 0: none. */
    int32_t guards[TRIAL_METRICS];
};

#endif
