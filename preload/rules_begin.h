/* SPDX-License-Identifier: MIT */
/*
 * Derives from a policy what it means for this program: the active rules, their phases, and the
 * options that they guard.
 */
#ifndef SOCKTUNE_RULES_BEGIN_H
#define SOCKTUNE_RULES_BEGIN_H

#include "state.h"

/*
 * Fill `rules` from rules->policy, except defaults, reports and generation. `extra` (aligned to 4)
 * has room for `size` bytes: 4 for each rule and 2 for each option. It becomes part of the rules
 * and must live as long. False if they do not fit. Pure.
 */
bool rules_begin(struct rules_in_force *rules, const struct identity *identity, void *extra,
                 size_t size);

#endif
