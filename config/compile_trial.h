/* SPDX-License-Identifier: MIT */
#ifndef SOCKTUNE_COMPILE_TRIAL_H
#define SOCKTUNE_COMPILE_TRIAL_H

#include "policy_writer.h"
#include "rules.h"

/* Write the record of the arm that `rule` is; empty where it is none. */
struct policy_range compile_trial(struct policy_writer *writer, const struct ruleset *ruleset,
                                  const struct rule *rule);

#endif
