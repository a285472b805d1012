/* SPDX-License-Identifier: MIT */
/* Warnings: each file of tests/fixtures/warn gives the very lines beside it and no error, on a
 * machine whose settings are those of tests/fixtures/sysctl. */
#include "fixture.h"

#include "relate.h"

#include <criterion/criterion.h>

static const struct check_context machine = {
    .privileged = false, .sysctl_root = FIXTURES "/sysctl", .kernel = "6.1.0-18-amd64"};

Test(check, warnings_are_as_expected)
{
    cr_assert_geq(each_fixture("warn", &machine), 30);
}

/* The machine at hand may warn of this or that, but never fail. */
Test(check, running_machine)
{
    const struct check_context here = {.privileged = true};
    struct transcript found = {.length = 0};
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset = ruleset_read_text(
        "rules = ( { set = { SO_RCVBUF = \"1000M\"; TCP_CONGESTION = \"none-such\"; }; } );",
        "text", &diagnostics);

    ruleset_check(ruleset, &here, &diagnostics);
    cr_assert_eq(diagnostics.errors, 0);
    cr_assert(strstr(found.text, "above net.core.rmem_max") != NULL, "%s", found.text);
    cr_assert(strstr(found.text, "has not loaded \"none-such\"") != NULL, "%s", found.text);
    ruleset_free(ruleset);
}

Test(check, privileged_is_not_warned)
{
    struct check_context context = machine;
    struct transcript found = {.length = 0};
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset = ruleset_read_text(
        "rules = ( { set = { SO_MARK = 1; SO_PRIORITY = 7; TCP_CONGESTION = \"dctcp\"; }; } );",
        "text", &diagnostics);

    context.privileged = true;
    ruleset_check(ruleset, &context, &diagnostics);
    cr_assert_str_empty(found.text);
    ruleset_free(ruleset);
}

/* /proc/self is a link on every machine; what it stands for differs. */
Test(check, a_program_that_is_a_symbolic_link)
{
    struct transcript found = {.length = 0};
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset = ruleset_read_text(
        "rules = ( { match = { program = [ \"/proc/self\", \"/proc\", \"/proc/s*\" ]; };\n"
        "            set = { IP_TTL = 9; }; } );",
        "text", &diagnostics);

    ruleset_check(ruleset, &machine, &diagnostics);
    cr_expect(strstr(found.text, "\"/proc/self\" is a symbolic link") != NULL, "%s", found.text);
    cr_expect(strstr(found.text, "the file is \"/proc/") != NULL, "%s", found.text);
    cr_expect(strstr(found.text, "\"/proc\" is") == NULL, "%s", found.text);
    ruleset_free(ruleset);
}

/* --- how rules relate ------------------------------------------------------------------------ */

static const struct relation {
    const char *outer;
    const char *inner;
    bool covers;
    bool disjoint;
} relations[] = {
    {"", "", true, false},
    {"", "role = \"accept\";", true, false},
    {"role = \"accept\";", "", false, false},
    {"role = \"accept\";", "role = \"connect\";", false, true},
    {"role = [ \"accept\", \"listen\" ];", "role = \"listen\";", true, false},
    /* A role that the protocol excludes does not count. */
    {"role = \"datagram\";", "protocol = \"udp\";", true, false},
    {"protocol = \"tcp\";", "role = \"datagram\";", false, true},
    {"protocol = \"tcp\";", "protocol = \"udp\";", false, true},
    {"family = \"inet\";", "family = \"inet6\";", false, true},
    {"remote = \"10.0.0.0/8\";", "remote = \"10.1.0.0/16\";", true, false},
    {"remote = \"10.1.0.0/16\";", "remote = \"10.0.0.0/8\";", false, false},
    {"remote = \"10.0.0.0/8\";", "remote = [ \"10.1.0.0/16\", \"11.0.0.0/8\" ];", false, false},
    {"remote = [ \"10.0.0.0/8\", \"11.0.0.0/8\" ];", "remote = [ \"11.1.1.1\", \"10.1.0.0/16\" ];",
     true, false},
    {"remote = \"::/0\";", "remote = \"10.0.0.1\";", false, false},
    {"remote = \"0.0.0.0/0\";", "remote = [ \"10.0.0.1\", \"!10.0.0.2\" ];", true, false},
    {"remote = [ \"10.0.0.0/8\", \"!10.0.0.2\" ];", "remote = \"10.0.0.1\";", false, false},
    {"remote = \"10.0.0.0/8\";", "remote = \"!10.0.0.2\";", false, false},
    {"remote = \"10.0.0.0/8\";", "", false, false},
    {"local_port = \"80-90\";", "local_port = ( 80, \"82-90\" );", true, false},
    {"local_port = \"80-90\";", "local_port = \"82-91\";", false, false},
    {"local_port = [ \"80-90\", \"!85\" ];", "local_port = 80;", false, false},
    {"program = \"nginx\";", "program = \"nginx\";", true, false},
    {"program = [ \"nginx\", \"redis*\" ];", "program = \"redis*\";", true, false},
    {"program = \"nginx\";", "program = \"redis\";", false, false},
    {"program = \"!nginx\";", "program = \"redis\";", false, false},
    {"program = \"!nginx\";", "program = [ \"redis\", \"!nginx\" ];", true, false},
    {"command = \"*app.py*\";", "", false, false},
    {"user = 1;", "user = 2;", false, true},
    {"user = [ 1, 2 ];", "user = 2;", true, false},
    {"user = \"!1\";", "user = 2;", false, false},
};

static struct ruleset *relate(const struct relation *relation)
{
    struct diagnostics diagnostics = {.report = NULL};
    char text[512];
    struct ruleset *ruleset;

    snprintf(text, sizeof text, "rules = ( { match = { %s }; }, { match = { %s }; } );",
             relation->outer, relation->inner);
    ruleset = ruleset_read_text(text, "text", &diagnostics);
    cr_assert_eq(diagnostics.errors, 0, "%s", text);
    return ruleset;
}

Test(check, relations)
{
    for (size_t i = 0; i < sizeof relations / sizeof relations[0]; i++) {
        const struct relation *relation = &relations[i];
        struct ruleset *ruleset = relate(relation);

        cr_expect_eq(rule_covers(&ruleset->rules[0], &ruleset->rules[1]), relation->covers,
                     "{%s} covers {%s}: %d expected", relation->outer, relation->inner,
                     relation->covers);
        cr_expect_eq(rules_are_disjoint(&ruleset->rules[0], &ruleset->rules[1]), relation->disjoint,
                     "{%s} and {%s} disjoint: %d expected", relation->outer, relation->inner,
                     relation->disjoint);
        cr_expect_eq(rules_are_disjoint(&ruleset->rules[1], &ruleset->rules[0]),
                     relation->disjoint);
        ruleset_free(ruleset);
    }
}
