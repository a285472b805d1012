/* SPDX-License-Identifier: MIT */
/*
 * The check of policies: policy_open() refuses each file that could lead a reader out of bounds.
 */
#include "compiled.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char rules[] =
    "program = \"nginx\";\n"
    "rules = ( { name = \"a\"; match = { role = \"accept\"; remote = \"10.0.0.0/8\";\n"
    "            local_port = [80, 443]; user = \"root\"; };\n"
    "            set = { SO_KEEPALIVE = true; dscp = \"EF\"; }; ignore = [ \"SO_RCVBUF\" ]; },\n"
    "          { set = { transport = \"mptcp\"; }; },\n"
    "          { match = { role = \"connect\"; }; set = { source = \"10.1.2.3\"; }; } );\n";

/* Open a changed policy after correcting its checksum, as an attacker would. */
static const char *open_forged(struct policy *policy, uint8_t *blob, size_t size)
{
    struct policy_header *header = (struct policy_header *)blob;
    header->checksum = policy_checksum(blob, size);
    return policy_open_blob(policy, blob, size);
}

Test(policy, every_changed_byte_is_noticed)
{
    struct compiled c = compiled_from(rules);
    struct policy policy;
    uint8_t *blob = c.blob;
    for (size_t i = 0; i < c.size; i++) {
        blob[i] ^= 0x21;
        cr_expect_not_null(policy_open(&policy, blob, c.size), "byte %zu", i);
        blob[i] ^= 0x21;
    }
    cr_expect_null(policy_open(&policy, blob, c.size));
    compiled_free(&c);
}

Test(policy, every_length_but_its_own_is_refused)
{
    struct compiled c = compiled_from(rules);
    struct policy policy;
    for (size_t size = 0; size < c.size; size++) {
        uint8_t *part = malloc(size + 1); /* exactly the stated size, for ASan */
        part = realloc(part, size ? size : 1);
        memcpy(part, c.blob, size);
        cr_expect_not_null(policy_open(&policy, part, size), "%zu bytes", size);
        free(part);
    }
    compiled_free(&c);
}

/* Visit all that the engine would visit; ASan and UBSan check. */
static void walk(const struct policy *policy)
{
    static const char *const argv[] = {"nginx", "-g", "daemon off;", NULL};
    const struct identity identity = {.executable = "/usr/sbin/nginx", .argv = argv};
    uint32_t *indices = calloc(policy->rule_count + 1, sizeof *indices);
    struct active active = {indices, active_rules(policy, &identity, indices)};
    for (uint32_t i = 0; i < policy->rule_count; i++)
        indices[i] = i;
    active.count = policy->rule_count;
    struct sockinfo sockinfo = {.roles = ROLE_ACCEPT,
                                .families = FAMILY_INET,
                                .protocols = PROTOCOL_TCP,
                                .known = FACT_ROLE | FACT_LOCAL | FACT_REMOTE};
    struct decision decision;
    match_rules(policy, &active, &sockinfo, PHASE_ALL, &decision);
    for (uint32_t i = 0; i < policy->option_count; i++) {
        struct guard guard;
        match_guard(policy, &active, &sockinfo, i, &guard);
        if (decision.action[i] == NO_ACTION)
            continue;
        const struct policy_action *action = &policy->actions[decision.action[i]];
        volatile size_t sum = strlen(policy_string(policy, action->text));
        for (uint32_t b = 0; b < action->length; b++)
            sum += (uint8_t)policy_string(policy, action->value)[b];
        (void)sum;
    }
    free(indices);
}

Test(policy, no_forged_byte_leads_astray)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct compiled c = compiled_from(rules);
    uint8_t *blob = (uint8_t *)c.policy.blob; /* all rules: the last part of the file */
    const size_t size = c.policy.size;
    unsigned refused = 0, taken = 0;
    for (size_t i = sizeof(uint64_t) * 3; i < size; i++)
        for (size_t v = 0; v < sizeof values; v++) {
            struct policy policy;
            uint8_t before = blob[i];
            blob[i] = values[v];
            if (open_forged(&policy, blob, size) == NULL) {
                walk(&policy);
                taken++;
            } else {
                refused++;
            }
            blob[i] = before;
        }
    cr_expect_gt(refused, 0);
    cr_expect_gt(taken, 0);
    compiled_free(&c);
}

Test(policy, another_version_is_said_to_be_that)
{
    struct compiled c = compiled_from(rules);
    struct policy policy;
    ((struct policy_header *)c.blob)->version++;
    cr_expect_str_eq(policy_open(&policy, c.blob, c.size), "made by another version of socktune");
    compiled_free(&c);
}

Test(policy, text_is_no_policy)
{
    struct policy policy;
    _Alignas(8) static const char text[] = "rules = ( { set = { SO_KEEPALIVE = true; }; } );";
    cr_expect_str_eq(policy_open(&policy, text, sizeof text - 1), "not a socktune policy");
    cr_expect_str_eq(policy_open(&policy, text, 0), "not a socktune policy");
}

Test(policy, the_same_rules_give_the_same_bytes)
{
    struct compiled a = compiled_from(rules), b = compiled_from(rules);
    cr_expect_eq(a.size, b.size);
    cr_expect_arr_eq(a.blob, b.blob, a.size);
    compiled_free(&a);
    compiled_free(&b);
}
