/* SPDX-License-Identifier: MIT */
/*
 * The index of a policy file: a program finds the rules for its name, and they give the same result
 * as all rules together.
 */
#include "compiled.h"
#include "match.h"
#include "policy_index.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct policy_header *header_of(const struct compiled *c)
{
    return c->blob;
}

static const struct policy_index_block *get_block(void *context, uint32_t number,
                                                  struct policy_index_block *room)
{
    const struct compiled *c = context;
    const char *blocks = (const char *)c->blob + header_of(c)->index.offset;
    (void)room;
    return (const struct policy_index_block *)(const void *)blocks + number;
}

/* The part for a program, as the preloaded object finds it. */
static bool find_part(const struct compiled *c, const char *name, struct policy *part)
{
    const struct policy_header *header = header_of(c);
    const struct policy_index index = {
        get_block,
        (void *)c,
        header->index.count,
        {.offset = header->whole, .size = (uint32_t)c->size - header->whole}};
    const char *const names[] = {name, name};
    struct policy_index_entry entry;
    cr_assert(policy_index_choose(&index, names, &entry), "damaged");
    if (entry.size == 0)
        return false;
    cr_assert_null(policy_open_blob(part, (const char *)c->blob + entry.offset, entry.size));
    return true;
}

/* The front part, for programs that the index does not name. */
static struct policy front_of(const struct compiled *c)
{
    struct policy front;
    cr_assert_null(policy_open_blob(&front, c->blob, header_of(c)->size));
    return front;
}

/* Everything that a policy contains about its active rules, as text. */
static void describe(const struct policy *policy, const char *program, char *text, size_t size)
{
    const char *const argv[] = {program, "-x", NULL};
    const struct identity identity = {.executable = program, .argv = argv};
    uint32_t *rules = calloc(policy->rule_count + 1, sizeof *rules);
    uint32_t count = active_rules(policy, &identity, rules);
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t r = 0; r < count; r++) {
        const struct policy_rule *rule = &policy->rules[rules[r]];
        length += (size_t)snprintf(
            text + length, size - length, "%s %s:%u %u %x %x %x %x %u %u %u %u\n",
            policy_string(policy, rule->name), policy_string(policy, rule->file), rule->line,
            rule->flags, rule->protocols, rule->roles, rule->families, rule->phases,
            rule->local.count, rule->remote.count, rule->local_port.count, rule->remote_port.count);
        for (uint32_t i = 0; i < rule->remote.count; i++)
            length += (size_t)snprintf(text + length, size - length, " /%u",
                                       policy->prefixes[rule->remote.first + i].length);
        for (uint32_t i = 0; i < rule->local_port.count; i++)
            length += (size_t)snprintf(text + length, size - length, " :%u",
                                       policy->ports[rule->local_port.first + i].low);
        for (uint32_t i = 0; i < rule->actions.count; i++) {
            const struct policy_action *action = &policy->actions[rule->actions.first + i];
            const struct policy_option *option = &policy->options[action->option];
            length += (size_t)snprintf(
                text + length, size - length, " %s %d %d %u %u %x %x %x %x %u %s %s:%u ",
                policy_string(policy, option->name), option->level, option->optname, action->mode,
                action->op, action->phases, action->protocols, action->families, action->mask,
                action->length, policy_string(policy, action->text),
                policy_string(policy, action->file), action->line);
            for (uint32_t b = 0; b < action->length; b++)
                length += (size_t)snprintf(text + length, size - length, "%02x",
                                           (uint8_t)policy_string(policy, action->value)[b]);
        }
        cr_assert_lt(length, size);
    }
    free(rules);
}

static void expect_same(const struct compiled *c, const struct policy *part, const char *program)
{
    static char all[1 << 16], own[1 << 16];
    describe(&c->policy, program, all, sizeof all);
    describe(part, program, own, sizeof own);
    cr_expect_str_eq(own, all, "%s", program);
    cr_expect_eq(part->rule_total, c->policy.rule_count);
}

static const char rules[] =
    "rules = (\n"
    " { name = \"all\"; match = { command = \"*-x*\"; }; set = { TCP_NODELAY = true; }; },\n"
    " { name = \"a\"; match = { program = [ \"nginx\", \"haproxy\" ]; remote = \"10.0.0.0/8\";\n"
    "   local_port = 80; }; set = { SO_KEEPALIVE = true; dscp = \"EF\"; }; final = true; },\n"
    " { name = \"b\"; match = { program = \"/usr/sbin/nginx\"; user = \"root\"; };\n"
    "   force = { TCP_KEEPIDLE = \"10min\"; }; ignore = [ \"SO_RCVBUF\" ]; },\n"
    " { name = \"c\"; match = { program = \"red*\"; }; set = { SO_SNDBUF = \"1M\"; }; },\n"
    " { name = \"d\"; match = { program = [ \"redis\", \"mem*\" ]; }; set = { SO_MARK = 3; }; },\n"
    " { name = \"e\"; match = { program = \"!nginx\"; }; set = { IP_TTL = 9; }; },\n"
    " { name = \"f\"; match = { program = [ \"redis\", \"!/opt/redis\" ]; };\n"
    "   set = { transport = \"mptcp\"; source = \"10.1.2.3\"; }; report = true; } );\n";

Test(policy_index, a_part_says_what_all_rules_say)
{
    static const char *const named[] = {"nginx", "haproxy", "redis"};
    static const char *const others[] = {"curl", "memcached", "redo", "ngin", "nginxx", ""};
    struct compiled c = compiled_from(rules);
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
        struct policy part;
        cr_assert(find_part(&c, named[i], &part), "%s", named[i]);
        cr_expect_lt(part.rule_count, c.policy.rule_count);
        expect_same(&c, &part, named[i]);
    }
    struct policy nginx;
    cr_assert(find_part(&c, "nginx", &nginx));
    expect_same(&c, &nginx, "/usr/sbin/nginx");
    struct policy front = front_of(&c);
    cr_expect_eq(front.rule_count, 4, "all, c, d, e");
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct policy part;
        cr_expect_not(find_part(&c, others[i], &part), "%s", others[i]);
        expect_same(&c, &front, others[i]);
    }
    compiled_free(&c);
}

Test(policy_index, the_front_alone_has_the_sources_and_no_rule_of_others)
{
    struct compiled c = compiled_from("program = \"a\"; rules = ( { set = { IP_TTL = 9; }; } );");
    struct policy front = front_of(&c), part;
    cr_expect_eq(front.rule_count, 0);
    cr_expect_eq(front.source_count, c.policy.source_count);
    cr_assert(find_part(&c, "a", &part));
    cr_expect_eq(part.source_count, 0);
    compiled_free(&c);
}

Test(policy_index, each_part_says_whether_the_rules_are_live)
{
    static const char *const texts[] = {"", "live = true; "};
    for (unsigned live = 0; live < 2; live++) {
        char text[96];
        struct policy part;
        snprintf(text, sizeof text, "%sprogram = \"a\"; rules = ( { set = { IP_TTL = 9; }; } );",
                 texts[live]);
        struct compiled c = compiled_from(text);
        cr_assert(find_part(&c, "a", &part));
        cr_expect_eq(front_of(&c).flags, live * POLICY_LIVE);
        cr_expect_eq(part.flags, live * POLICY_LIVE);
        cr_expect_eq(c.policy.flags, live * POLICY_LIVE);
        compiled_free(&c);
    }
}

Test(policy_index, without_names_there_is_no_index)
{
    struct compiled c = compiled_from("rules = ( { match = { program = \"a*\"; };\n"
                                      "            set = { IP_TTL = 9; }; } );");
    cr_expect_eq(header_of(&c)->index.count, 0);
    cr_expect_eq(header_of(&c)->whole, 0);
    cr_expect_eq(c.policy.rule_count, 1);
    compiled_free(&c);
}

/* With full blocks too: each name is found, and no other. */
Test(policy_index, each_of_many_names_is_found)
{
    enum { NAMES = 2000 };
    char *text = malloc(NAMES * 80 + 80);
    size_t length = (size_t)sprintf(text, "rules = (");
    for (int i = 0; i < NAMES; i++)
        length += (size_t)sprintf(text + length,
                                  "%s { match = { program = \"p%d\"; }; set = { IP_TTL = 9; }; }",
                                  i != 0 ? "," : "", i);
    sprintf(text + length, ");");
    struct compiled c = compiled_from(text);
    cr_expect_geq(header_of(&c)->index.count, NAMES / POLICY_INDEX_ENTRIES);
    for (int i = 0; i < 2 * NAMES; i++) {
        char name[16];
        struct policy part;
        sprintf(name, "p%d", i);
        bool found = find_part(&c, name, &part);
        cr_assert_eq(found, i < NAMES, "%s", name);
        if (found) {
            cr_assert_eq(part.rule_count, 1);
            cr_assert_eq(part.rules[0].line, c.policy.rules[i].line);
            cr_assert_str_eq(policy_string(&part, part.matchers[0].pattern), name);
        }
    }
    compiled_free(&c);
    free(text);
}

Test(policy_index, a_changed_byte_of_a_block_is_noticed)
{
    struct compiled c = compiled_from(rules);
    struct policy_index_block *block = (void *)((uint8_t *)c.blob + header_of(&c)->index.offset);
    for (size_t i = 0; i < sizeof *block; i++) {
        struct policy_index_entry entry;
        ((uint8_t *)block)[i] ^= 0x21;
        cr_expect_eq(policy_index_find(block, policy_index_hash("nginx"), &entry), INDEX_DAMAGED,
                     "byte %zu", i);
        ((uint8_t *)block)[i] ^= 0x21;
    }
    compiled_free(&c);
}
