/* SPDX-License-Identifier: MIT */
/*
 * Warnings about what rules ask and supervision cannot give.
 */
#ifndef SOCKTUNE_RULE_WARNINGS_H
#define SOCKTUNE_RULE_WARNINGS_H

#include "match.h"

/* Print what supervision does not give, or gives under a condition (front_ends.def): one line for
 * each of these rules and each reason. Each line is printed once, whichever programs the rule is
 * for. Thread-safe. */
void rule_warnings_print(const struct policy *policy, const struct active *active);

#endif
