/* SPDX-License-Identifier: MIT */
/*
 * The ways of applying rules, and what each of them cannot give (front_ends.def). `check`,
 * `explain`, `doctor` and the supervisor's warnings all use this table. Pure.
 */
#ifndef SOCKTUNE_FRONT_ENDS_H
#define SOCKTUNE_FRONT_ENDS_H

#include "policy.h"

#include <stddef.h>

enum front_end {
#define FRONT_END(id, name) FRONT_END_##id,
#include "front_ends.def"
    FRONT_END_COUNT
};

/* Beside 1 << MODE_...: the action's rule says `require`. */
#define MODE_REQUIRED (1u << MODE_COUNT)

enum limit_certainty { LIMIT_MISSES, LIMIT_DEPENDS, LIMIT_UNGUARDED };

struct front_end_limit {
    enum front_end front_end;
    unsigned phases, ops, modes, flags; /* as in front_ends.def */
    enum limit_certainty certainty;
    const char *reason; /* continues the option's name */
};

/* "preload" ... */
const char *front_end_name(enum front_end front_end);

/* The front end of that name; FRONT_END_COUNT if there is none. */
enum front_end front_end_find(const char *name);

/* "preload apply supervise attach", for messages and completion. Static text. */
const char *front_end_names(void);

/* What keeps the front end from giving the action at one of `phases` (PHASE_BIT()s); NULL if
 * nothing does. */
const struct front_end_limit *front_end_limit_of(enum front_end front_end,
                                                 const struct policy *policy,
                                                 const struct policy_action *action,
                                                 unsigned phases);

/* What keeps the front end from giving the action with this index at any of its phases; NULL if
 * nothing does. Static text. */
const char *front_end_reason(enum front_end front_end, const struct policy *policy,
                             uint32_t action);

/* Options about which one sentence is: "A", or "each of A, B and C". */
struct option_names {
    char before[2048]; /* all but the last one, with commas; cut off if there are too many */
    const char *last;
    unsigned count;
};

/* Add a name, which is borrowed. One that follows itself counts once. */
void option_names_add(struct option_names *names, const char *name);

/* The subject of the sentence, in `text`. There is at least one name. */
void option_names_subject(const struct option_names *names, char *text, size_t size);

/* Who asks about the settings of a rule, and who is told. */
struct limit_report {
    /* What keeps the action with this index from being given; NULL if nothing does. */
    const char *(*reason)(void *context, uint32_t action);
    /* One reason: the first action that it is about, and all options, as a subject. */
    void (*report)(void *context, uint32_t first, const char *subject, const char *reason);
    void *context;
};

/* Report each reason that keeps options of the rule from being given once. */
void limits_of_rule(const struct policy *policy, const struct policy_rule *rule,
                    const struct limit_report *to);

/* "misses", "depends" or "unguarded", for JSON. */
const char *limit_certainty_name(enum limit_certainty certainty);

#endif
