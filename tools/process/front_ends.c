/* SPDX-License-Identifier: MIT */
/*
 * Looking up limits.
 */
#include "front_ends.h"

#include <stdio.h>
#include <string.h>

static const char *const front_end_texts[FRONT_END_COUNT] = {
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
    return front_end_texts[front_end];
}

enum front_end front_end_find(const char *name)
{
    unsigned i = 0;
    while (i < FRONT_END_COUNT && strcmp(front_end_texts[i], name) != 0)
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

const char *front_end_reason(enum front_end front_end, const struct policy *policy, uint32_t action)
{
    const struct policy_action *asked = &policy->actions[action];
    const struct front_end_limit *limit =
        front_end_limit_of(front_end, policy, asked, asked->phases);
    return limit != NULL ? limit->reason : NULL;
}

/* One sentence for several options */

void option_names_add(struct option_names *names, const char *name)
{
    size_t used = strlen(names->before);
    if (names->last != NULL && strcmp(names->last, name) == 0)
        return;
    if (names->last != NULL)
        snprintf(names->before + used, sizeof names->before - used, "%s%s", used != 0 ? ", " : "",
                 names->last);
    names->last = name;
    names->count++;
}

void option_names_subject(const struct option_names *names, char *text, size_t size)
{
    if (names->count == 1)
        snprintf(text, size, "%s", names->last);
    else
        snprintf(text, size, "each of %s and %s", names->before, names->last);
}

static bool is_reason(const struct limit_report *to, uint32_t action, const char *reason)
{
    const char *own = to->reason(to->context, action);
    return own != NULL && strcmp(own, reason) == 0;
}

static bool is_reported(const struct policy_range *actions, const struct limit_report *to,
                        uint32_t action, const char *reason)
{
    for (uint32_t i = actions->first; i < action; i++)
        if (is_reason(to, i, reason))
            return true;
    return false;
}

static void report_reason(const struct policy *policy, const struct policy_range *actions,
                          const struct limit_report *to, uint32_t first, const char *reason)
{
    struct option_names names = {.count = 0};
    char subject[sizeof names.before + 128];
    for (uint32_t i = first; i < actions->first + actions->count; i++)
        if (is_reason(to, i, reason))
            option_names_add(
                &names, policy_string(policy, policy->options[policy->actions[i].option].name));
    option_names_subject(&names, subject, sizeof subject);
    to->report(to->context, first, subject, reason);
}

void limits_of_rule(const struct policy *policy, const struct policy_rule *rule,
                    const struct limit_report *to)
{
    const struct policy_range *actions = &rule->actions;
    for (uint32_t i = actions->first; i < actions->first + actions->count; i++) {
        const char *reason = to->reason(to->context, i);
        if (reason != NULL && !is_reported(actions, to, i, reason))
            report_reason(policy, actions, to, i, reason);
    }
}

const char *limit_certainty_name(enum limit_certainty certainty)
{
    static const char *const certainties[] = {
        [LIMIT_MISSES] = "misses", [LIMIT_DEPENDS] = "depends", [LIMIT_UNGUARDED] = "unguarded"};
    return certainties[certainty];
}
