/* SPDX-License-Identifier: MIT */
/*
 * What keeps rules from the programs of a unit, for `socktune enable`.
 */
#ifndef SOCKTUNE_UNIT_WARNINGS_H
#define SOCKTUNE_UNIT_WARNINGS_H

#include "policy.h"
#include "unit_facts.h"

/*
 * Print a line on standard error for each thing because of which the unit's programs would run
 * untuned, or not as people expect, with `library` in LD_PRELOAD and the rules at `rules`, whose
 * policy is given.
 */
void unit_warnings(const struct unit_facts *facts, const struct policy *policy, const char *rules,
                   const char *library);

/* "socktune enable: warning: ..." and a line end, on standard error. */
void unit_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
