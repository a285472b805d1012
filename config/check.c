/* SPDX-License-Identifier: MIT */
/* Warnings about rules that are valid. */
#include "rules.h"

void ruleset_check(const struct ruleset *ruleset, const struct check_context *context,
                   struct diagnostics *diagnostics)
{
    (void)context;
    for (size_t i = 0; i < ruleset->rule_count; i++)
        if (ruleset->rules[i].report)
            diagnose(diagnostics, SEVERITY_WARNING, ruleset->rules[i].at,
                     "report: this version does not report connections");
}
