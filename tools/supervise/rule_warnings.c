/* SPDX-License-Identifier: MIT */
/*
 * The table of front ends, with a note of what has been printed.
 */
#include "rule_warnings.h"
#include "front_ends.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NOTED_MAX 4096u /* settings beyond that share a note */

static atomic_bool noted[NOTED_MAX];

static void print_warning(const struct policy *policy, const struct policy_action *action,
                          const char *reason)
{
    char line[1024];
    int length = snprintf(line, sizeof line, "%s:%u: warning: under --supervise, %s %s\n",
                          policy_string(policy, action->file), action->line,
                          policy_string(policy, policy->options[action->option].name), reason);
    if (length >= (int)sizeof line)
        length = sizeof line - 1;
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        return; /* there is nobody else to report to */
}

void rule_warnings_print(const struct policy *policy, const struct active *active)
{
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_range actions = policy->rules[active->rules[i]].actions;
        for (uint32_t a = actions.first; a < actions.first + actions.count; a++) {
            const struct policy_action *action = &policy->actions[a];
            const struct front_end_limit *limit =
                front_end_limit_of(FRONT_END_SUPERVISE, policy, action, action->phases);
            if (limit != NULL && !atomic_exchange(&noted[a % NOTED_MAX], true))
                print_warning(policy, action, limit->reason);
        }
    }
}
