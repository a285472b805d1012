/* SPDX-License-Identifier: MIT */
/*
 * How the sockets that two rules match relate. Both answers are certain when true; false may also
 * mean that it cannot be told (two globs, say).
 */
#ifndef SOCKTUNE_RELATE_H
#define SOCKTUNE_RELATE_H

#include "rules.h"

/* Every socket that `inner` matches is matched by `outer`. */
bool rule_covers(const struct rule *outer, const struct rule *inner);

/* No socket is matched by both. */
bool rules_are_disjoint(const struct rule *a, const struct rule *b);

#endif
