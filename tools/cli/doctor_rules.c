/* SPDX-License-Identifier: MIT */
/*
 * What `socktune doctor` finds about the rules for a program.
 */
#include "console.h"
#include "doctor_report.h"
#include "front_end_limits.h"
#include "policy_file.h"
#include "print_diagnostic.h"

#include <stdio.h>
#include <stdlib.h>

/* What the front ends cannot apply; front ends without a member have no limits. */
struct all_limits {
    struct policy_limits ways[FRONT_END_COUNT];
};

/* Read the limits of all front ends, or of `by`. BPF is probed only with --by attach. */
static void read_all_limits(struct all_limits *limits, const struct policy *policy,
                            enum front_end by)
{
    for (unsigned way = 0; way < FRONT_END_COUNT; way++) {
        bool chosen = by == FRONT_END_COUNT || way == by;
        if (limits_read(&limits->ways[way], policy, chosen ? (enum front_end)way : FRONT_END_COUNT,
                        way == by) != 0)
            limits->ways[way].front_end = FRONT_END_COUNT;
    }
}

static json_t *describe_limits(const struct all_limits *limits, const struct policy *policy,
                               const struct policy_rule *rule)
{
    json_t *list = json_array();
    for (unsigned way = 0; way < FRONT_END_COUNT; way++)
        for (uint32_t i = 0; i < rule->actions.count; i++) {
            uint32_t index = rule->actions.first + i;
            const struct front_end_limit *limit =
                limits_of(&limits->ways[way], index, policy->actions[index].phases);
            if (limit != NULL)
                json_array_append_new(list, limit_json(policy, index, limit));
        }
    return list;
}

static json_t *describe_rule(const struct all_limits *limits, const struct policy *policy,
                             const struct policy_rule *rule)
{
    json_t *options = json_array();
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < rule->actions.count; i++) {
        const struct policy_action *action = &policy->actions[rule->actions.first + i];
        if (action->option != last)
            json_array_append_new(
                options, json_text(policy_string(policy, policy->options[action->option].name)));
        last = action->option;
    }
    return json_pack("{s:o, s:o, s:i, s:o, s:o}", "rule",
                     json_text(policy_string(policy, rule->name)), "file",
                     json_text(policy_string(policy, rule->file)), "line", (int)rule->line,
                     "options", options, "missed", describe_limits(limits, policy, rule));
}

static json_t *describe_active(const struct policy *policy, const struct identity *identity,
                               enum front_end by)
{
    uint32_t *active = calloc(policy->rule_count + 1u, sizeof *active);
    uint32_t count = active != NULL ? active_rules(policy, identity, active) : 0;
    json_t *rules = json_array();
    struct all_limits limits;
    read_all_limits(&limits, policy, by);
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(rules, describe_rule(&limits, policy, &policy->rules[active[i]]));
    for (unsigned way = 0; way < FRONT_END_COUNT; way++)
        limits_free(&limits.ways[way]);
    free(active);
    return rules;
}

/* Report which rules of `path` (NULL: there are none) match a program. */
void doctor_report_rules(struct doctor_report *report, const char *path,
                         const struct identity *identity)
{
    struct diagnostics diagnostics = {
        .report = print_error, .show = print_place, .context = stderr};
    struct loaded loaded;
    json_t *active;
    if (path == NULL) {
        doctor_find(
            report, FINDING_NOTE, "no-rules",
            "Write /etc/socktune.d/NAME.conf, or name a rule file by -c; socktune.conf(5) tells "
            "how.",
            "there are no rules: SOCKTUNE_RULES is not set, and there is neither /etc/socktune.d "
            "nor /etc/socktune.conf");
        return;
    }
    if (load_rules(path, NULL, &diagnostics, &loaded) != 0) {
        doctor_find(report, FINDING_WARNING, "bad-rules", "Correct what `socktune check` tells.",
                    "the rules at %s have errors: programs run untuned", path);
        return;
    }
    active = describe_active(&loaded.policy, identity, report->by);
    if (json_array_size(active) == 0)
        doctor_find(report, FINDING_NOTE, "no-rule-matches", NULL, "no rule of %s is for it", path);
    json_object_set_new(report->root, "rules",
                        json_pack("{s:o, s:I, s:o}", "path", json_text(path), "total",
                                  (json_int_t)loaded.policy.rule_count, "active", active));
    loaded_free(&loaded);
}
