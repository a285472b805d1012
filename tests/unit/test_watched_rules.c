/* SPDX-License-Identifier: MIT */
/*
 * When changed rules are compiled, and the part of a policy for one program.
 */
#include "policy_part.h"
#include "watched_rules.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RULE(name, program)                                                                        \
    "{ name = \"" name "\"; match = { program = \"" program                                        \
    "\"; }; set = { TCP_NODELAY = true; }; }"

static char directory[] = "/tmp/socktune-watched-XXXXXX";
static char path[64];

static void write_rules(const char *rules)
{
    FILE *file = fopen(path, "we");
    cr_assert_neq(file, NULL);
    fputs(rules, file);
    fclose(file);
}

static void begin(void)
{
    cr_assert_neq(mkdtemp(directory), NULL);
    snprintf(path, sizeof path, "%s/rules.conf", directory);
    write_rules("rules = ( " RULE("one", "a") " );");
}

static void end(void)
{
    unlink(path);
    rmdir(directory);
}

TestSuite(watched_rules, .init = begin, .fini = end);

static bool has_text(const struct watched_rules *rules, const char *text)
{
    return memmem(rules->policy, rules->size, text, strlen(text)) != NULL;
}

/* Files that were just written are examined once more. */
static void settle(struct watched_rules *rules)
{
    for (unsigned i = 0; i < 50 && watched_rules_are_changing(rules); i++) {
        watched_rules_look(rules, false);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    cr_expect_not(watched_rules_are_changing(rules));
}

Test(watched_rules, a_change_counts_once_it_is_seen_twice)
{
    struct watched_rules rules;
    cr_assert_eq(watched_rules_start(&rules, path), 0);
    cr_expect(has_text(&rules, "one"));
    settle(&rules);
    cr_expect_not(watched_rules_look(&rules, false));
    write_rules("rules = ( " RULE("two", "a") " );");
    cr_expect_not(watched_rules_look(&rules, false), "the writer may not have ended");
    cr_expect(watched_rules_are_changing(&rules));
    cr_expect(watched_rules_look(&rules, false));
    cr_expect(has_text(&rules, "two"));
    watched_rules_end(&rules);
}

Test(watched_rules, a_writer_that_never_ends_is_not_waited_for)
{
    struct watched_rules rules;
    bool compiled = false;
    char text[128];
    cr_assert_eq(watched_rules_start(&rules, path), 0);
    for (unsigned i = 0; i < 12 && !compiled; i++) {
        snprintf(text, sizeof text, "# %*s\nrules = ( " RULE("two", "a") " );", (int)i, "");
        write_rules(text);
        compiled = watched_rules_look(&rules, false);
    }
    cr_expect(compiled);
    watched_rules_end(&rules);
}

Test(watched_rules, broken_rules_leave_the_policy_and_say_why)
{
    struct watched_rules rules;
    cr_assert_eq(watched_rules_start(&rules, path), 0);
    write_rules("rules = ( { set = { TCP_NODELAY = maybe; }; } );");
    cr_expect(watched_rules_look(&rules, true));
    cr_expect_neq(strstr(rules.failure, "rules.conf:1: "), NULL, "%s", rules.failure);
    cr_expect(has_text(&rules, "one"));
    write_rules("rules = ( " RULE("mended", "a") " );");
    cr_expect(watched_rules_look(&rules, true));
    cr_expect_str_eq(rules.failure, "");
    cr_expect(has_text(&rules, "mended"));
    watched_rules_end(&rules);
}

static struct policy_part part_of(const struct watched_rules *rules, const char *name,
                                  const char *name0)
{
    const char *const names[] = {name, name0};
    struct policy_part part = {NULL, 0, 0};
    struct policy policy;
    cr_assert(policy_part_find(rules->policy, rules->size, names, &part));
    cr_assert_eq(policy_open_blob(&policy, part.blob, part.size), NULL);
    cr_expect_eq(policy.checksum, part.checksum);
    part.size = policy.rule_count;
    return part;
}

Test(watched_rules, a_program_gets_the_part_for_its_names)
{
    struct watched_rules rules;
    write_rules("rules = ( " RULE("one", "a") ", " RULE("two", "b") ", " RULE(
        "three", "b") ", "
                      "{ name = \"all\"; set = { SO_KEEPALIVE = true; }; } );");
    cr_assert_eq(watched_rules_start(&rules, path), 0);
    cr_expect_eq(part_of(&rules, "c", "c").size, 1, "the rule for all programs");
    cr_expect_eq(part_of(&rules, "a", "a").size, 2);
    cr_expect_eq(part_of(&rules, "c", "b").size, 3, "by argv[0]");
    cr_expect_eq(part_of(&rules, "a", "b").size, 4, "two names with a part each: all rules");
    watched_rules_end(&rules);
}
