/* SPDX-License-Identifier: MIT */
/*
 * Warnings about options that a front end cannot apply: one for each reason.
 */
#include "compiled.h"
#include "front_ends.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* One line per report. */
struct reports {
    const struct policy *policy;
    char text[1024];
};

static const char *find_reason(void *context, uint32_t action)
{
    const struct reports *reports = context;
    const struct policy_action *asked = &reports->policy->actions[action];
    const struct front_end_limit *limit =
        front_end_limit_of(FRONT_END_SUPERVISE, reports->policy, asked, asked->phases);
    return limit == NULL ? NULL : strstr(limit->reason, "accepted") != NULL ? "late" : "never";
}

static void note(void *context, uint32_t first, const char *subject, const char *reason)
{
    struct reports *reports = context;
    size_t used = strlen(reports->text);
    snprintf(reports->text + used, sizeof reports->text - used, "%u: %s %s\n",
             reports->policy->actions[first].line, subject, reason);
}

static void expect_reports(const char *text, const char *expected)
{
    struct compiled c = compiled_from(text);
    struct reports reports = {.policy = &c.policy};
    limits_of_rule(&c.policy, &c.policy.rules[0],
                   &(struct limit_report){find_reason, note, &reports});
    cr_expect_str_eq(reports.text, expected);
    compiled_free(&c);
}

Test(front_ends, one_report_for_each_reason)
{
    expect_reports("rules = ( { match = { role = \"accept\"; remote = \"10.0.0.0/8\"; };\n"
                   "set = { SO_PRIORITY = 5; };\n"
                   "default = { TCP_KEEPCNT = 3; TCP_NODELAY = true; }; } );",
                   "2: each of SO_PRIORITY, TCP_KEEPCNT and TCP_NODELAY late\n");
    expect_reports("rules = ( { set = { SO_PRIORITY = 5; transport = \"mptcp\"; }; } );",
                   "1: SO_PRIORITY late\n1: transport never\n");
    expect_reports("rules = ( { set = { TCP_NODELAY = true; }; } );", "");
}

Test(front_ends, a_setting_of_two_actions_is_named_once)
{
    expect_reports("rules = ( { match = { role = \"accept\"; remote = \"10.0.0.0/8\"; };\n"
                   "set = { SO_RCVTIMEO = \"5s\"; }; } );",
                   "2: SO_RCVTIMEO late\n");
}
