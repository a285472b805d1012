/* SPDX-License-Identifier: MIT */
/*
 * Layout of the room behind the policy: active rules first, then guarded options.
 */
#include "rules_begin.h"

#include "multipath.h"

/* Collects the options that an active rule guards, each once. */
static void collect_guards(struct rules_in_force *rules, uint16_t *guards)
{
    const struct policy *policy = &rules->policy;
    bool seen[POLICY_OPTIONS_MAX] = {false};
    rules->guard_count = 0;
    for (uint32_t i = 0; i < rules->active.count; i++) {
        const struct policy_rule *rule = &policy->rules[rules->active.rules[i]];
        for (uint32_t a = 0; a < rule->actions.count; a++) {
            const struct policy_action *action = &policy->actions[rule->actions.first + a];
            if (!policy_is_guard(action) || seen[action->option])
                continue;
            seen[action->option] = true;
            guards[rules->guard_count++] = action->option;
        }
    }
    rules->guards = guards;
}

static unsigned phases_of_active(const struct rules_in_force *rules)
{
    unsigned phases = 0;
    for (uint32_t i = 0; i < rules->active.count; i++)
        phases |= rules->policy.rules[rules->active.rules[i]].phases;
    return phases | multipath_concerns(rules);
}

bool rules_begin(struct rules_in_force *rules, const struct identity *identity, void *extra,
                 size_t size)
{
    const struct policy *policy = &rules->policy;
    uint32_t *active = extra;
    rules->active.rules = active;
    rules->active.count = 0;
    rules->guard_count = 0;
    rules->phases = rules->reports = 0;
    if (policy->rule_count * sizeof *active + policy->option_count * sizeof *rules->guards > size)
        return false;
    if (policy->rule_count != 0)
        rules->active.count = active_rules(policy, identity, active);
    collect_guards(rules, (uint16_t *)(active + rules->active.count));
    rules->phases = phases_of_active(rules);
    return true;
}
