/* SPDX-License-Identifier: MIT */
/* Warnings: each file of tests/fixtures/warn produces exactly the lines in its .expect file and no
 * error, with the sysctls of tests/fixtures/sysctl. */
#include "fixture.h"

#include "check.h"
#include "compat.h"
#include "relate.h"
#include "rows.h"

#include <asm/socket.h>
#include <criterion/criterion.h>
#include <linux/in6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct check_context machine = {.privileged = false,
                                             .sysctl_root = FIXTURES "/sysctl",
                                             .kernel = "6.1.0-18-amd64",
                                             .other_host = true};

Test(check, warnings_are_as_expected)
{
    cr_assert_geq(each_fixture("warn", &machine), 30);
}

/* The machine that runs the tests may cause warnings, but no errors. */
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
        "program = \"some\";\n"
        "rules = ( { set = { SO_MARK = 1; SO_PRIORITY = 7; TCP_CONGESTION = \"dctcp\"; }; } );",
        "text", &diagnostics);
    context.privileged = true;
    ruleset_check(ruleset, &context, &diagnostics);
    cr_assert_str_empty(found.text);
    ruleset_free(ruleset);
}

/* What the checker reports for rules that apply on this host. */
static const char *said_here(const char *text, struct transcript *found)
{
    struct check_context here = machine;
    struct diagnostics diagnostics = transcript_start(found);
    struct ruleset *ruleset = ruleset_read_text(text, "text", &diagnostics);
    here.other_host = false;
    ruleset_check(ruleset, &here, &diagnostics);
    ruleset_free(ruleset);
    return found->text;
}

static void put_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    fclose(file);
}

/* Each kind of file that is not a program, and its warning. */
Test(check, programs_by_path, .init = enter_scratch, .fini = leave_scratch)
{
    static const struct {
        const char *name;
        const char *said; /* NULL: no warning */
    } files[] = {{"link", NULL},
                 {"directory", "names a directory"},
                 {"script", "is a script, which runs as"},
                 {"none", "this host has no file"},
                 {"odd name|x", NULL},
                 {"program", NULL},
                 {"none*", NULL}};
    struct transcript found;
    char text[512];

    put_file("script", "#!/bin/sh\n");
    put_file("program", "\177ELF");
    put_file("odd name|x", "\177ELF");
    cr_assert_eq(symlink("program", "link"), 0);
    cr_assert_eq(mkdir("directory", 0755), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(text, sizeof text,
                 "rules = ( { match = { program = \"%s/%s\"; }; set = { IP_TTL = 64; }; } );",
                 scratch, files[i].name);
        said_here(text, &found);
        if (files[i].said == NULL)
            cr_expect_str_empty(found.text);
        else
            cr_expect(strstr(found.text, files[i].said) != NULL, "%s: %s", files[i].name,
                      found.text);
    }
}

/* 192.0.2.0/24 and 2001:db8::/32 are reserved for documentation: no host has such an address. */
Test(check, addresses_of_this_host)
{
    static const struct {
        const char *rule;
        const char *said;
    } rows[] = {
        {"match = { local = \"192.0.2.7\"; }; set = { IP_TTL = 64; };", "local: this host has no"},
        {"match = { local = \"2001:db8::/64\"; }; set = { IP_TTL = 64; };",
         "local: this host has no"},
        {"match = { local = [ \"192.0.2.7\", \"127.0.0.1\" ]; }; set = { IP_TTL = 64; };", NULL},
        {"match = { local = \"127.0.0.77\"; }; set = { IP_TTL = 64; };", NULL},
        {"match = { local = \"!192.0.2.7\"; }; set = { IP_TTL = 64; };", NULL},
        {"match = { local = \"224.0.0.251\"; }; set = { IP_TTL = 64; };", NULL},
        {"match = { local = \"192.0.2.7\"; }; set = { IP_FREEBIND = true; };", NULL},
        {"set = { source = \"192.0.2.7\"; };", "source = 192.0.2.7: this host has no"},
        {"match = { remote = \"127.0.0.0/8\"; }; set = { source = \"127.0.0.1\"; };", NULL},
        {"set = { source = \"192.0.2.7\"; IP_FREEBIND = true; };", NULL},
    };
    struct transcript found;
    char text[512];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, "program = \"some\"; rules = ( { %s } );", rows[i].rule);
        said_here(text, &found);
        if (rows[i].said == NULL)
            cr_expect(strstr(found.text, "this host") == NULL, "%s", found.text);
        else
            cr_expect(strstr(found.text, rows[i].said) != NULL, "%s: %s", rows[i].rule, found.text);
    }
}

/* Harmful settings */

enum { ON = 1 };
#define MOST  INT64_MAX
#define KB(n) ((n)*INT64_C(1024))
#define MB(n) ((n)*INT64_C(1048576))

static const struct {
    int level;
    int optname;
    unsigned roles;
    int64_t low;
    int64_t high;
    const char *text;
} hazards[] = {
#define HAZARD(level, name, roles, low, high, unless, text) {level, name, roles, low, high, text},
#define IGNORED(level, name, roles, text)
#include "hazards.def"
};

static const struct {
    int level;
    int optname;
    unsigned roles;
    const char *text;
} ignored[] = {
#define HAZARD(level, name, roles, low, high, unless, text)
#define IGNORED(level, name, roles, text) {level, name, roles, text},
#include "hazards.def"
};

/* The bytes of a number in the option's own unit. */
static struct value encode(const struct option *option, int64_t number)
{
    struct value value = {.length = sizeof(int)};
    int64_t wide[2] = {number / 1000000, number % 1000000};
    int narrow = (int)number, linger[2] = {1, (int)number};
    memcpy(value.bytes, &narrow, sizeof narrow);
    if (option->kind == KIND_RATE)
        memcpy(value.bytes, &number, value.length = sizeof number);
    if (option->kind == KIND_TIMEVAL)
        memcpy(value.bytes, wide, value.length = sizeof wide);
    if (option->kind == KIND_LINGER)
        memcpy(value.bytes, linger, value.length = sizeof linger);
    return value;
}

/* Does the checker print the text of row `i` for the number? */
static bool hazard_is_told(size_t i, unsigned roles, enum action_mode mode, int64_t number)
{
    const struct option *option = option_find_number(hazards[i].level, hazards[i].optname);
    struct transcript found;
    struct diagnostics diagnostics = transcript_start(&found);
    const struct checker checker = {NULL, &machine, &diagnostics};
    const struct rule rule = {
        .name = "x", .roles = (uint8_t)roles, .protocols = PROTOCOL_ALL, .families = FAMILY_IP};
    const struct setting setting = {
        .mode = mode, .option = option, .value = encode(option, number), .text = "V"};
    check_hazards(&checker, &rule, &setting);
    return strstr(found.text, hazards[i].text) != NULL;
}

/* The warning comes at both ends of the row's range and for its roles, not outside. */
Test(check, each_hazard_is_told)
{
    for (size_t i = 0; i < sizeof hazards / sizeof hazards[0]; i++) {
        const struct option *option = option_find_number(hazards[i].level, hazards[i].optname);
        int64_t high = hazards[i].high, low = hazards[i].low;
        cr_assert_not_null(option, "row %zu", i);
        if (strstr(hazards[i].text, "those of ECN") != NULL)
            low = 1, high = 255;
        high = high > option->max ? option->max : high;
        cr_expect(hazard_is_told(i, hazards[i].roles, MODE_SET, low), "%s", option->name);
        cr_expect(hazard_is_told(i, hazards[i].roles, MODE_FORCE, high), "%s", option->name);
        cr_expect_not(hazard_is_told(i, ROLE_ALL & ~hazards[i].roles, MODE_SET, low), "%s",
                      option->name);
        if (low > option->min)
            cr_expect_not(hazard_is_told(i, hazards[i].roles, MODE_SET, low - 1), "%s",
                          option->name);
        if (high < option->max && high < INT32_MAX)
            cr_expect_not(hazard_is_told(i, hazards[i].roles, MODE_SET, high + 1), "%s",
                          option->name);
    }
}

/* at_least does not change larger values, at_most does not change smaller ones. */
Test(check, bounds_do_harm_on_one_side)
{
    for (size_t i = 0; i < sizeof hazards / sizeof hazards[0]; i++) {
        const struct option *option = option_find_number(hazards[i].level, hazards[i].optname);
        bool open = hazards[i].high == MOST;
        if (strstr(hazards[i].text, "those of ECN") != NULL)
            continue;
        cr_expect_eq(hazard_is_told(i, hazards[i].roles, MODE_AT_LEAST, hazards[i].low), open, "%s",
                     option->name);
        cr_expect_eq(hazard_is_told(i, hazards[i].roles, MODE_AT_MOST, hazards[i].low), !open, "%s",
                     option->name);
    }
}

/* What the checker reports for one raw option with these bytes. */
static const char *said_of_raw(const struct option *option, const struct value *value,
                               struct transcript *found)
{
    struct diagnostics diagnostics = transcript_start(found);
    char text[1024];
    size_t used = (size_t)snprintf(text, sizeof text,
                                   "rules = ( { match = { program = \"x\"; family = [ \"inet\", "
                                   "\"inet6\", \"unix\" ]; }; set = { raw = ( { level = %d; option "
                                   "= %d; value = [",
                                   option->level, option->optname);
    struct ruleset *ruleset;
    for (uint32_t i = 0; i < value->length; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%u", i == 0 ? "" : ", ",
                                 value->bytes[i]);
    snprintf(text + used, sizeof text - used, "]; } ); }; } );");
    ruleset = ruleset_read_text(text, "text", &diagnostics);
    cr_assert_eq(diagnostics.errors, 0, "%s: %s", text, found->text);
    ruleset_check(ruleset, &machine, &diagnostics);
    ruleset_free(ruleset);
    return found->text;
}

/* Each row of the table, given by number: the advised setting produces the same bytes. */
Test(check, advice_for_raw_gives_the_same_bytes)
{
    EACH_ROW(option)
    {
        struct value value = encode(option, option->max < 40   ? option->max
                                            : 40 < option->min ? option->min
                                                               : 40);
        struct diagnostics diagnostics = {.report = NULL};
        struct transcript found;
        struct ruleset *ruleset;
        char text[256], advice[128];
        const char *at;

        if (option->level == LEVEL_SOCKTUNE)
            continue;
        if (option->kind == KIND_STRING)
            value = (struct value){.bytes = "abc", .length = 3};
        if (option->kind == KIND_PORT_RANGE)
            value = (struct value){.bytes = {0x40, 0x9c, 0x50, 0xc3}, .length = 4};
        at = strstr(said_of_raw(option, &value, &found), ": write ");
        cr_assert(at != NULL && strstr(at, " in place of raw") != NULL, "%s: %s", option->name,
                  found.text);
        snprintf(advice, sizeof advice, "%.*s", (int)(strstr(at, " in place of raw") - at) - 8,
                 at + 8);
        snprintf(text, sizeof text, "rules = ( { set = { %s; }; } );", advice);
        ruleset = ruleset_read_text(text, "text", &diagnostics);
        cr_assert_eq(diagnostics.errors, 0, "%s", text);
        cr_expect_eq(ruleset->rules[0].settings[0].value.length, value.length, "%s", text);
        cr_expect_arr_eq(ruleset->rules[0].settings[0].value.bytes, value.bytes, value.length, "%s",
                         text);
        ruleset_free(ruleset);
    }
}

/* Each warning for an option's name also comes for its number. */
Test(check, hazards_of_raw_numbers)
{
    for (size_t i = 0; i < sizeof hazards / sizeof hazards[0]; i++) {
        const struct option *option = option_find_number(hazards[i].level, hazards[i].optname);
        struct transcript found;
        struct value value;
        if (option->level == LEVEL_SOCKTUNE ||
            strstr(hazards[i].text, "no program in particular") != NULL)
            continue;
        value =
            encode(option, strstr(hazards[i].text, "those of ECN") != NULL ? 1 : hazards[i].low);
        cr_expect(strstr(said_of_raw(option, &value, &found), hazards[i].text) != NULL, "%s: %s",
                  option->name, found.text);
    }
}

/* The kernel accepts values that are too long, and single bytes at IPPROTO_IP; otherwise it refuses
 * values that are too short. */
Test(check, raw_values_of_each_length)
{
    static const struct {
        int level;
        int optname;
        unsigned harmful; /* the lengths with a warning, as a bit mask */
    } rows[] = {{IPPROTO_IP, IP_TTL, 0x1fe},
                {IPPROTO_IPV6, IPV6_UNICAST_HOPS, 0x1f0},
                {IPPROTO_TCP, TCP_SYNCNT, 0x1f0},
                {SOL_SOCKET, SO_DONTROUTE, 0x1f0},
                {SOL_SOCKET, SO_MAX_PACING_RATE, 0x1f0}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint32_t length = 1; length <= 8; length++) {
            const struct option *option = option_find_number(rows[i].level, rows[i].optname);
            const struct value value = {.bytes = {1}, .length = length};
            bool harmful = (rows[i].harmful & 1u << length) != 0;
            struct transcript found;
            char hazard[64];
            snprintf(hazard, sizeof hazard, "%s = %s: ", option->name,
                     option->kind == KIND_BOOL ? "true" : "1");
            said_of_raw(option, &value, &found);
            cr_expect_eq(strstr(found.text, hazard) != NULL, harmful, "%s, %u bytes: %s",
                         option->name, length, found.text);
            cr_expect_eq(strstr(found.text, "the kernel refuses") == NULL, harmful,
                         "%s, %u bytes: %s", option->name, length, found.text);
        }
}

/* Each danger can be accepted by itself; the policy does not contain that. */
Test(check, each_hazard_can_be_accepted)
{
    for (size_t i = 0; i < sizeof hazards / sizeof hazards[0]; i++) {
        const struct option *option = option_find_number(hazards[i].level, hazards[i].optname);
        struct accepted_risk other = {.name = "TCP_QUICKACK"}, same = {.name = option->name};
        struct transcript found;
        struct diagnostics diagnostics = transcript_start(&found);
        const struct checker checker = {NULL, &machine, &diagnostics};
        struct rule rule = {.name = "x",
                            .roles = (uint8_t)hazards[i].roles,
                            .protocols = PROTOCOL_ALL,
                            .families = FAMILY_IP,
                            .accepted = &other,
                            .accepted_count = 1};
        const struct setting setting = {
            .option = option, .value = encode(option, hazards[i].low), .text = "V"};
        if (strstr(hazards[i].text, "those of ECN") != NULL)
            continue;
        check_hazards(&checker, &rule, &setting);
        cr_expect(strstr(found.text, hazards[i].text) != NULL, "%s", option->name);
        diagnostics = transcript_start(&found);
        rule.accepted = &same;
        check_hazards(&checker, &rule, &setting);
        cr_expect_str_empty(found.text, "%s: %s", option->name, found.text);
    }
}

/* The warning comes for its roles if the option is ignored, by name or by number, not if it is
 * set. */
Test(check, each_needed_option_is_told)
{
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        const struct option *option = option_find_number(ignored[i].level, ignored[i].optname);
        struct transcript found;
        struct diagnostics diagnostics = transcript_start(&found);
        const struct checker checker = {NULL, &machine, &diagnostics};
        struct rule rule = {.name = "x",
                            .roles = (uint8_t)ignored[i].roles,
                            .protocols = PROTOCOL_ALL,
                            .families = FAMILY_IP};
        struct setting setting = {.mode = MODE_SET, .option = option, .text = ""};
        cr_assert_not_null(option, "row %zu", i);
        check_ignored(&checker, &rule, &setting);
        cr_expect_str_empty(found.text, "%s", option->name);
        setting.mode = MODE_IGNORE;
        rule.roles = (uint8_t)(ROLE_ALL & ~ignored[i].roles);
        check_ignored(&checker, &rule, &setting);
        cr_expect_str_empty(found.text, "%s", option->name);
        rule.roles = (uint8_t)ignored[i].roles;
        check_ignored(&checker, &rule, &setting);
        cr_expect(strstr(found.text, ignored[i].text) != NULL, "%s", option->name);
    }
}

/* Files without rules */

Test(check, directories_without_rules, .init = enter_scratch, .fini = leave_scratch)
{
    static const struct {
        const char *file; /* NULL: no file */
        const char *said;
    } rows[] = {{NULL, "there are no rules: the directory has no *.conf file"},
                {"nginx.rules", "and others, as \"nginx.rules\", are not read"},
                {"empty.conf", "there are no rules in it"}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct transcript found;
        struct diagnostics diagnostics = transcript_start(&found);
        struct ruleset *ruleset;
        if (rows[i].file != NULL)
            put_file(rows[i].file, "# nothing\n");
        ruleset = ruleset_read(scratch, &diagnostics);
        ruleset_check(ruleset, &machine, &diagnostics);
        cr_expect(strstr(found.text, rows[i].said) != NULL, "%s", found.text);
        ruleset_free(ruleset);
    }
}

/* Relations between rules */

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
