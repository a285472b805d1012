/* SPDX-License-Identifier: MIT */
/*
 * Converts a policy to the tables of the BPF programs.
 */
#include "compat.h"
#include "compiled.h"
#include "flatten.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct reported {
    char text[1024];
    unsigned line;
};

static void note(void *context, enum severity severity, struct location at, const char *message)
{
    struct reported *reported = context;
    (void)severity;
    reported->line = at.line;
    snprintf(reported->text, sizeof reported->text, "%s", message);
}

/* Flatten rules for a kernel that supports all options except one. */
static int flatten(const char *text, int level, int optname, struct attach_tables *tables,
                   struct reported *reported)
{
    struct compiled c = compiled_from(text);
    struct diagnostics diagnostics = {.report = note, .context = reported};
    struct attach_result *results = calloc(c.policy.action_count, sizeof *results);
    *reported = (struct reported){.line = 0};
    for (uint32_t i = 0; i < c.policy.action_count; i++) {
        const struct policy_option *option = &c.policy.options[c.policy.actions[i].option];
        if (option->level == level && option->optname == optname)
            results[i].error[0] = results[i].error[1] = -EINVAL;
    }
    int failed = attach_flatten(&c.policy, results, &diagnostics, tables);
    free(results);
    compiled_free(&c);
    return failed;
}

Test(flatten, says_which_reports_do_not_come_about)
{
    struct attach_tables tables;
    struct reported reported;
    cr_assert_eq(
        flatten("rules = ( { name = \"a\"; match = { role = \"accept\"; }; report = true; } );", 0,
                0, &tables, &reported),
        0);
    cr_assert(tables.needs.report && tables.needs.listen && tables.rules[0].report);
    cr_assert_str_eq(tables.rule_names[0], "a");
    cr_assert_eq(reported.line, 0);
    attach_tables_free(&tables);
    cr_assert_eq(flatten("rules = (\n{ match = { protocol = \"udp\"; }; report = true; } );", 0, 0,
                         &tables, &reported),
                 0);
    cr_assert_not(tables.needs.report);
    cr_assert_eq(reported.line, 2);
    attach_tables_free(&tables);
    cr_assert_eq(flatten("rules = (\n{ match = { protocol = \"tcp\"; }; report = true; "
                         "handoff = \"socket\"; } );",
                         0, 0, &tables, &reported),
                 0);
    cr_assert(tables.needs.report);
    cr_assert_eq(reported.line, 2);
    attach_tables_free(&tables);
}

Test(flatten, keeps_the_rules_in_their_order_with_their_criteria)
{
    struct attach_tables tables;
    struct reported reported;
    cr_assert_eq(flatten("rules = ("
                         "{ match = { program = [ \"a*\", \"!ab\" ]; user = \"root\"; };"
                         "  set = { TCP_NODELAY = true; SO_KEEPALIVE = true; }; },"
                         "{ match = { remote = [ \"10.0.0.0/8\", \"!2001:db8::/33\" ];"
                         "            remote_port = \"80-90\"; };"
                         "  force = { SO_KEEPALIVE = false; }; final = true; } );",
                         -2, 0, &tables, &reported),
                 0, "%s", reported.text);
    cr_assert_eq(tables.rule_count, 2);
    cr_assert_eq(tables.option_count, 2);
    cr_assert_eq(tables.rules[0].matchers.count, 3);
    cr_assert(tables.matchers != NULL && tables.prefixes != NULL && tables.ports != NULL);
    cr_expect_str_eq(tables.matchers[0].pattern, "a*");
    cr_expect_eq(tables.matchers[1].negate, 1);
    cr_expect_eq(tables.rules[0].final, 0);
    cr_expect_eq(tables.rules[1].final, 1);
    const struct attach_prefix *prefixes = &tables.prefixes[tables.rules[1].remote.first];
    cr_expect_eq(prefixes[0].low, 0xffff0a000000u);
    cr_expect_eq(prefixes[0].mask_high, UINT64_MAX);
    cr_expect_eq(prefixes[0].mask_low, 0xffffffffff000000u);
    cr_expect_eq(prefixes[0].all, 0);
    cr_expect_eq(prefixes[1].negate, 1);
    cr_expect_eq(prefixes[1].mask_high, 0xffffffff80000000u);
    cr_expect_eq(prefixes[1].mask_low, 0);
    cr_expect_eq(tables.ports[tables.rules[1].remote_port.first].high, 90);
    attach_tables_free(&tables);
}

Test(flatten, leaves_out_what_the_kernel_does_not_take_and_names_its_line)
{
    struct attach_tables tables;
    struct reported reported;
    cr_assert_eq(flatten("rules = ( {\nset = {\nIP_TTL = 9; SO_KEEPALIVE = true; }; } );",
                         IPPROTO_IP, IP_TTL, &tables, &reported),
                 0);
    cr_expect_eq(reported.line, 3);
    cr_expect_not_null(strstr(reported.text, "IP_TTL"));
    cr_expect_eq(tables.option_count, 1);
    for (uint32_t i = 0; i < tables.action_count; i++)
        cr_expect_eq(tables.options[tables.actions[i].option].optname, SO_KEEPALIVE);
    attach_tables_free(&tables);
}

Test(flatten, refuses_criteria_that_bpf_cannot_see)
{
    static const char *const criteria[] = {"command = \"* -x\"", "program = \"/usr/bin/x\"",
                                           "unit = \"x\"", "script = \"x.py\""};
    for (size_t i = 0; i < sizeof criteria / sizeof *criteria; i++) {
        char text[256];
        struct attach_tables tables;
        struct reported reported;
        snprintf(text, sizeof text,
                 "rules = (\n\n{ match = { %s; }; set = { SO_KEEPALIVE = true; }; } );",
                 criteria[i]);
        cr_expect_eq(flatten(text, -2, 0, &tables, &reported), -1, "%s", criteria[i]);
        cr_expect_eq(reported.line, 3);
        attach_tables_free(&tables);
    }
}

Test(flatten, needs_only_the_events_that_the_rules_ask_for)
{
    struct attach_tables tables;
    struct reported reported;
    flatten("rules = ( { match = { role = \"connect\"; }; set = { SO_KEEPALIVE = true; }; } );", -2,
            0, &tables, &reported);
    cr_expect(tables.needs.connect && !tables.needs.listen && !tables.needs.setsockopt);
    attach_tables_free(&tables);
    flatten("rules = ( { match = { role = \"accept\"; }; force = { TCP_KEEPCNT = 3; }; } );", -2, 0,
            &tables, &reported);
    cr_expect(!tables.needs.connect && tables.needs.listen && tables.needs.setsockopt);
    attach_tables_free(&tables);
    flatten("rules = ( { match = { role = \"listen\"; }; set = { SO_REUSEADDR = true; }; } );", -2,
            0, &tables, &reported);
    cr_expect(tables.needs.bind);
    attach_tables_free(&tables);
}

Test(flatten, guards_other_names_of_an_option_and_what_disturbs_it)
{
    struct attach_tables tables;
    struct reported reported;
    bool forced = false, disturbed = false;
    flatten("rules = ( { force = { SO_RCVBUF = \"64K\"; SO_PRIORITY = 3; }; } );", -2, 0, &tables,
            &reported);
    for (uint32_t i = 0; i < tables.guard_count; i++) {
        const struct attach_guard *guard = &tables.guards[i];
        forced |= guard->level == SOL_SOCKET && guard->optname == SO_RCVBUFFORCE &&
                  guard->effect == SIBLING_SAME;
        disturbed |= guard->level == IPPROTO_IP && guard->optname == IP_TOS &&
                     guard->effect == SIBLING_DISTURBS;
    }
    cr_expect(forced);
    cr_expect(disturbed);
    attach_tables_free(&tables);
}

Test(flatten, takes_a_pacing_rate_as_the_int_that_bpf_wants)
{
    struct attach_tables tables;
    struct reported reported;
    flatten("rules = ( { set = { SO_MAX_PACING_RATE = \"1M\"; }; } );", -2, 0, &tables, &reported);
    cr_assert_gt(tables.action_count, 0);
    cr_expect_eq(tables.actions[0].length, 4);
    attach_tables_free(&tables);
}
