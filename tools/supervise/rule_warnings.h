/* SPDX-License-Identifier: MIT */
/*
 * Warnings about what rules ask and supervision cannot give.
 */
#ifndef SOCKTUNE_RULE_WARNINGS_H
#define SOCKTUNE_RULE_WARNINGS_H

#include "match.h"

/* Print one line for each setting of these rules that supervision does not give or gives under a
 * condition (front_ends.def). Each setting is named once, whichever programs it is for.
 * Thread-safe. */
void rule_warnings_print(const struct policy *policy, const struct active *active);

#endif
