/* SPDX-License-Identifier: MIT */
/*
 * Looking up limits.
 */
#include "front_ends.h"

#include <stddef.h>
#include <string.h>

static const char *const names[FRONT_END_COUNT] = {
#define FRONT_END(id, name) [FRONT_END_##id] = (name),
#include "front_ends.def"
};

static const struct front_end_limit limits[] = {
#define LIMIT(front_end, phases, ops, modes, flags, certainty, reason)                             \
    {FRONT_END_##front_end, phases, ops, modes, flags, LIMIT_##certainty, reason},
#include "front_ends.def"
};

const char *front_end_name(enum front_end front_end)
{
    return names[front_end];
}

enum front_end front_end_find(const char *name)
{
    unsigned i = 0;
    while (i < FRONT_END_COUNT && strcmp(names[i], name) != 0)
        i++;
    return (enum front_end)i;
}

const char *front_end_names(void)
{
    static const char text[] = ""
#define FRONT_END(id, name) " " name
#include "front_ends.def"
        ;
    return text + 1;
}

static bool any_of(unsigned wanted, unsigned given)
{
    return wanted == 0 || (wanted & given) != 0;
}

const struct front_end_limit *front_end_limit_of(enum front_end front_end,
                                                 const struct policy *policy,
                                                 const struct policy_action *action,
                                                 unsigned phases)
{
    static const struct front_end_limit trial = {
        .certainty = LIMIT_MISSES,
        .reason = "is of an arm of a trial: only the preloaded library and `run --supervise` "
                  "carry out trials"};
    const struct policy_option *option = &policy->options[action->option];
    const struct policy_rule *rule =
        policy_rule_of_action(policy, (uint32_t)(action - policy->actions));
    unsigned modes = 1u << action->mode;
    if (front_end != FRONT_END_PRELOAD && front_end != FRONT_END_SUPERVISE &&
        rule->trial.count != 0)
        return &trial;
    if ((rule->flags & RULE_REQUIRE) != 0)
        modes |= MODE_REQUIRED;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (limits[i].front_end == front_end && any_of(limits[i].phases, phases) &&
            any_of(limits[i].ops, 1u << action->op) && any_of(limits[i].modes, modes) &&
            any_of(limits[i].flags, option->flags))
            return &limits[i];
    return NULL;
}

const char *limit_certainty_name(enum limit_certainty certainty)
{
    static const char *const certainties[] = {
        [LIMIT_MISSES] = "misses", [LIMIT_DEPENDS] = "depends", [LIMIT_UNGUARDED] = "unguarded"};
    return certainties[certainty];
}
