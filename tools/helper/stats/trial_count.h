/* SPDX-License-Identifier: MIT */
/*
 * Counts connections in a trial: metrics, intervals, pairs and guards, by the rules in trials.h.
 * Changes nothing but the trial.
 */
#ifndef SOCKTUNE_HELPER_TRIAL_COUNT_H
#define SOCKTUNE_HELPER_TRIAL_COUNT_H

#include "trials.h"

/* A connection of this arm has ended. `now` is CLOCK_REALTIME in ns. */
void trial_count_connection(struct trial_state *trial, unsigned arm,
                            const struct trial_connection *connection, uint64_t now);

/* Evaluate the blocks of intervals that ended more than a unit ago. */
void trial_settle(struct trial_state *trial, uint64_t now);

/* True if a guard has tripped, or if the trial has all its connections; `reason` then says so. */
bool trial_is_due_to_end(const struct trial_state *trial, char reason[TRIAL_REASON]);

#endif
