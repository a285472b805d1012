/* SPDX-License-Identifier: MIT */
/*
 * --by: what a way of applying rules cannot give, for check, explain and doctor.
 */
#ifndef SOCKTUNE_FRONT_END_LIMITS_H
#define SOCKTUNE_FRONT_END_LIMITS_H

#include "diagnostic.h"
#include "front_ends.h"
#include "match.h"

#include <jansson.h>

/* The row of a table of flags: --by NAME. */
#define FLAG_BY(type, member)                                                                      \
    {                                                                                              \
        "by", 0, FLAG_VALUE, offsetof(type, member), "WAY",                                        \
            "name what this way of applying the rules would not give", NULL, list_front_ends       \
    }

void list_front_ends(char *text, size_t size);

/* Read --by: FRONT_END_COUNT if `name` is NULL. Returns 0, or an exit status after a message. */
int read_front_end(const char *name, enum front_end *front_end);

/* A warning for each setting of the policy that is not given, or not in every case. */
void diagnose_limits(const struct policy *policy, enum front_end front_end,
                     struct diagnostics *diagnostics);

/* {"option", "rule", "file", "line", "by", "certainty", "reason"} */
json_t *limit_json(const struct policy *policy, uint32_t action,
                   const struct front_end_limit *limit);

#endif
