/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the loader and the engine with damaged or hostile policies. The checksum is corrected, so
 * the checks behind it are reached. The policy is either refused or can be matched against any
 * socket without access outside of it. The input is a sockinfo and then the policy.
 */
#include "match.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const arguments[] = {"nginx", "-g", "daemon off;", NULL};
static const struct identity identity = {
    .executable = "/usr/sbin/nginx", .argv = arguments, .uid = 33};

/* The sockinfo, within the bounds of what a hook can know. */
static struct sockinfo sockinfo_of(const uint8_t *data)
{
    struct sockinfo sockinfo;
    memcpy(&sockinfo, data, sizeof sockinfo);
    sockinfo.protocols &= PROTOCOL_ALL;
    sockinfo.roles &= ROLE_ALL;
    sockinfo.families &= FAMILY_ALL;
    sockinfo.known &= FACT_ALL;
    sockinfo.unavailable &= (uint8_t)(FACT_ALL & ~(unsigned)sockinfo.known);
    return sockinfo;
}

/* Follow every reference of a winning action. */
static void use_action(const struct policy *policy, const struct sockinfo *sockinfo, uint32_t index)
{
    const struct policy_action *action = &policy->actions[index];
    static volatile size_t sink __attribute__((unused)); /* prevents optimization */
    uint8_t value[POLICY_VALUE_MAX];
    memcpy(value, policy_string(policy, action->value), action->length);
    for (unsigned phase = 0; phase < PHASE_COUNT; phase++)
        sink += action_applies(action, sockinfo, (enum phase)phase);
    sink += strlen(policy_string(policy, policy->options[action->option].name));
    sink += strlen(policy_string(policy, action->text));
    sink += strlen(policy_string(policy, action->file));
    sink += value[0];
}

static void match(const struct policy *policy, const struct active *active,
                  struct sockinfo sockinfo)
{
    struct decision decision;
    struct guard guard;
    unsigned missing;
    uint32_t number;
    while ((missing = match_rules(policy, active, &sockinfo, PHASE_ALL, &decision)) != 0) {
        if ((missing & ~(unsigned)FACT_ALL) != 0 || (missing & sockinfo.unavailable) != 0)
            abort(); /* a repeated request would never end */
        sockinfo.unavailable |= (uint8_t)missing;
    }
    while ((missing = match_report(policy, active, &sockinfo, &number)) != 0) {
        if ((missing & sockinfo.unavailable) != 0)
            abort();
        sockinfo.unavailable |= (uint8_t)missing;
    }
    if (number != NO_REPORT && number >= active->count)
        abort();
    for (uint32_t i = 0; i < policy->option_count; i++) {
        if (decision.action[i] != NO_ACTION)
            use_action(policy, &sockinfo, decision.action[i]);
        (void)match_guard(policy, active, &sockinfo, i, &guard);
    }
}

static void run(void *blob, size_t size, struct sockinfo sockinfo)
{
    struct policy_header *header = blob;
    struct policy policy;
    struct active active;
    uint32_t *rules;
    if (size >= sizeof *header && size % 8 == 0) {
        memcpy(header->magic, POLICY_MAGIC, sizeof header->magic);
        header->version = POLICY_VERSION;
        header->size = (uint32_t)size;
        header->checksum = policy_checksum(blob, size);
    }
    if (policy_open(&policy, blob, size) != NULL)
        return;
    rules = calloc(policy.rule_count + 1, sizeof *rules);
    if (rules == NULL)
        abort();
    active = (struct active){rules, active_rules(&policy, &identity, rules)};
    match(&policy, &active, sockinfo);
    free(rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *blob;
    size_t length;
    if (size < sizeof(struct sockinfo))
        return 0;
    length = size - sizeof(struct sockinfo);
    blob = malloc(length + 1); /* aligned for any type */
    if (blob == NULL)
        abort();
    memcpy(blob, data + sizeof(struct sockinfo), length);
    run(blob, length, sockinfo_of(data));
    free(blob);
    return 0;
}
