/* SPDX-License-Identifier: MIT */
/*
 * --by: what a front end cannot apply, for check, explain and doctor.
 */
#ifndef SOCKTUNE_FRONT_END_LIMITS_H
#define SOCKTUNE_FRONT_END_LIMITS_H

#include "diagnostic.h"
#include "flatten.h"
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

/* Read --by; FRONT_END_COUNT if `name` is NULL. Returns 0, or an exit status after a message. */
int read_front_end(const char *name, enum front_end *front_end);

/* What one front end cannot apply of a policy. Release with limits_free(). */
struct policy_limits {
    enum front_end front_end; /* FRONT_END_COUNT: any; no limits */
    const struct policy *policy;
    /* Only for attach: */
    struct attach_result *results; /* what this kernel lets BPF set; NULL: unknown */
    struct front_end_limit *found; /* by action; `reason` is NULL if attach can apply the action */
    char refused[512];             /* why the rules cannot be attached at all; "": they can */
};

/*
 * Determine the limits. With `probe`, attach tries the settings on this kernel; if that is not
 * possible, a message says why. Returns 0, or -1 if memory is exhausted.
 */
int limits_read(struct policy_limits *limits, const struct policy *policy, enum front_end front_end,
                bool probe);
void limits_free(struct policy_limits *limits);

/* Why the front end cannot apply an action (an index) in one of `phases`; NULL: it can. */
const struct front_end_limit *limits_of(const struct policy_limits *limits, uint32_t action,
                                        unsigned phases);

/* Can the front end report such a socket? Type and protocol as for socket(2). */
bool limits_report(const struct policy_limits *limits, int type, int protocol);

/* Add a warning for each setting of the policy that is not applied in all cases, and an error for
 * what prevents the rules from being attached at all. */
void diagnose_limits(const struct policy *policy, enum front_end front_end,
                     struct diagnostics *diagnostics);

/* {"option", "rule", "file", "line", "by", "certainty", "reason"} */
json_t *limit_json(const struct policy *policy, uint32_t action,
                   const struct front_end_limit *limit);

#endif
