/* SPDX-License-Identifier: MIT */
/*
 * Limits of front ends, as diagnostics and as JSON.
 */
#include "front_end_limits.h"
#include "commands.h"
#include "format_option.h"

#include <stdio.h>

void list_front_ends(char *text, size_t size)
{
    size_t used = 0;
    for (unsigned i = 0; i < FRONT_END_COUNT && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i != 0 ? ", " : "",
                                 front_end_name((enum front_end)i));
}

int read_front_end(const char *name, enum front_end *front_end)
{
    char names[128];
    *front_end = FRONT_END_COUNT;
    if (name == NULL)
        return 0;
    *front_end = front_end_find(name);
    if (*front_end != FRONT_END_COUNT)
        return 0;
    list_front_ends(names, sizeof names);
    return command_misuse("--by \"%s\": there are %s", name, names);
}

void diagnose_limits(const struct policy *policy, enum front_end front_end,
                     struct diagnostics *diagnostics)
{
    for (uint32_t a = 0; front_end != FRONT_END_COUNT && a < policy->action_count; a++) {
        const struct policy_action *action = &policy->actions[a];
        const struct front_end_limit *limit =
            front_end_limit_of(front_end, policy, action, action->phases);
        const struct location at = {policy_string(policy, action->file), action->line};
        if (limit != NULL)
            diagnose(diagnostics, SEVERITY_WARNING, at, "by %s, %s %s", front_end_name(front_end),
                     policy_string(policy, policy->options[action->option].name), limit->reason);
    }
}

json_t *limit_json(const struct policy *policy, uint32_t action,
                   const struct front_end_limit *limit)
{
    json_t *object = action_json_where(policy, action);
    json_object_set_new(object, "by", json_string(front_end_name(limit->front_end)));
    json_object_set_new(object, "certainty", json_string(limit_certainty_name(limit->certainty)));
    json_object_set_new(object, "reason", json_string(limit->reason));
    return object;
}
