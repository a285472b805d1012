/* SPDX-License-Identifier: MIT */
/* From an arm of a trial to its record in the policy. */
#include "compile_trial.h"

#include "bytes.h"
#include "rule_trial.h"

#include <string.h>

/* The shares of all arms together. */
#define WHOLE 65536u

static void trial_share(const struct trial *trial, unsigned arm, uint32_t *low, uint32_t *high)
{
    uint64_t total = 0, before = 0; /* each share is at least 1 */
    for (unsigned i = 0; i < trial->arm_count; i++) {
        before += i < arm ? trial->arms[i].share : 0;
        total += trial->arms[i].share;
    }
    if (total == 0)
        return;
    *low = (uint32_t)(before * WHOLE / total);
    *high = (uint32_t)((before + trial->arms[arm].share) * WHOLE / total);
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    return bytes_hash(hash, text, strlen(text) + 1);
}

static uint64_t hash_number(uint64_t hash, uint64_t number)
{
    return bytes_hash(hash, &number, sizeof number);
}

static uint64_t hash_settings(uint64_t hash, const struct rule *rule)
{
    for (size_t i = 0; i < rule->setting_count; i++) {
        const struct setting *setting = &rule->settings[i];
        hash = hash_number(hash, setting->mode);
        hash = hash_text(hash, setting->option != NULL ? setting->option->name : "");
        hash =
            hash_number(hash, (uint64_t)setting->raw_level << 32 | (unsigned)setting->raw_optname);
        hash = bytes_hash(hash, setting->value.bytes, setting->value.length);
    }
    return hash;
}

/* What was found under one definition says nothing about another. */
static uint64_t hash_trial(const struct ruleset *ruleset, const struct trial *trial)
{
    uint64_t hash = hash_text(BYTES_HASH_BEGIN, trial->name);
    hash = hash_number(hash, trial->seed);
    hash = hash_number(hash, trial->unit_ns);
    hash = hash_number(hash, trial->most);
    hash = hash_number(hash, trial->metric);
    hash = bytes_hash(hash, trial->guards, sizeof trial->guards);
    for (unsigned i = 0; i < trial->arm_count; i++) {
        hash = hash_text(hash, trial->arms[i].name);
        hash = hash_number(hash, trial->arms[i].share);
    }
    for (size_t i = 0; i < ruleset->rule_count; i++)
        if (ruleset->rules[i].trial == trial)
            hash = hash_settings(hash, &ruleset->rules[i]);
    return hash;
}

struct policy_range compile_trial(struct policy_writer *writer, const struct ruleset *ruleset,
                                  const struct rule *rule)
{
    const struct trial *trial = rule->trial;
    char text[TRIAL_TEXT_SIZE];
    struct policy_trial arm;
    struct trial_text told;
    if (trial == NULL)
        return (struct policy_range){0, 0};
    arm = (struct policy_trial){.seed = trial->seed,
                                .unit_ns = trial->unit_ns,
                                .number = trial->number,
                                .arm = (uint8_t)rule->trial_arm,
                                .arms = (uint8_t)trial->arm_count};
    trial_share(trial, rule->trial_arm, &arm.low, &arm.high);
    told = (struct trial_text){.id = hash_trial(ruleset, trial),
                               .seed = arm.seed,
                               .unit_ns = arm.unit_ns,
                               .most = trial->most,
                               .low = arm.low,
                               .high = arm.high,
                               .name_length = (uint32_t)strlen(trial->name),
                               .number = arm.number,
                               .arm = arm.arm,
                               .arms = arm.arms,
                               .metric = trial->metric};
    memcpy(told.guards, trial->guards, sizeof told.guards);
    trial_text_write(&told, text);
    arm.text = policy_write_string(writer, text);
    return policy_write_range(writer, SECTION_TRIALS, &arm, 1);
}
