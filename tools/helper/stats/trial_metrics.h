/* SPDX-License-Identifier: MIT */
/*
 * The results of trials as metrics: socktune_trial_*. A copy is taken first, so that one scrape is
 * consistent. The number of series is bounded by TRIALS_MAX trials with POLICY_TRIAL_ARMS_MAX arms.
 */
#ifndef SOCKTUNE_HELPER_TRIAL_METRICS_H
#define SOCKTUNE_HELPER_TRIAL_METRICS_H

#include "metrics_text.h"
#include "trials.h"

struct trial_metrics;

/* Copy all users' trials, or (`one_user`) those of `uid`. `trials` may be NULL. Free with
 * trial_metrics_free(). NULL if there is no memory. */
struct trial_metrics *trial_metrics_take(const struct trials *trials, bool one_user, uid_t uid);

/* NULL does nothing. */
void trial_metrics_free(struct trial_metrics *metrics);

/* Write the next family. Returns false, without writing, if there is none left. */
bool trial_metrics_write(struct trial_metrics *metrics, enum metrics_format format, FILE *to);

#endif
