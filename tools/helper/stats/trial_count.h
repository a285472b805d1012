/* SPDX-License-Identifier: MIT */
/*
 * Counting connections into a trial: metrics, intervals, pairs and guards. trials.h tells the
 * rules. Pure but for the trial itself.
 */
#ifndef SOCKTUNE_HELPER_TRIAL_COUNT_H
#define SOCKTUNE_HELPER_TRIAL_COUNT_H

#include "trials.h"

/* A connection of this arm has ended. */
void trial_count_connection(struct trial_state *trial, unsigned arm,
                            const struct trial_connection *connection, uint64_t now);

/* Settle the blocks of intervals that are over for longer than a unit. */
void trial_settle(struct trial_state *trial, uint64_t now);

/* Has a guard been set off, or has the trial had all its connections? Then `reason` says so. */
bool trial_is_due_to_end(const struct trial_state *trial, char reason[TRIAL_REASON]);

#endif
