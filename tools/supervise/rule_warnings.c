/* SPDX-License-Identifier: MIT */
/*
 * The table of front ends, with a note of what has been printed.
 */
#include "rule_warnings.h"
#include "front_ends.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define NOTED_MAX 4096u /* warnings beyond that share a note */

static atomic_bool noted[NOTED_MAX];

static const char *find_reason(void *context, uint32_t action)
{
    return front_end_reason(FRONT_END_SUPERVISE, context, action);
}

static void print_warning(void *context, uint32_t first, const char *subject, const char *reason)
{
    const struct policy *policy = context;
    const struct policy_action *action = &policy->actions[first];
    char line[4096];
    int length;
    if (atomic_exchange(&noted[first % NOTED_MAX], true))
        return;
    length = snprintf(line, sizeof line, "%s:%u: warning: under --supervise, %s %s\n",
                      policy_string(policy, action->file), action->line, subject, reason);
    if (length >= (int)sizeof line)
        length = sizeof line - 1;
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        return; /* there is nobody else to report to */
}

void rule_warnings_print(const struct policy *policy, const struct active *active)
{
    const struct limit_report to = {find_reason, print_warning, (void *)policy};
    for (uint32_t i = 0; i < active->count; i++)
        limits_of_rule(policy, &policy->rules[active->rules[i]], &to);
}
