/* SPDX-License-Identifier: MIT */
/*
 * The group `trial` of a rule. The rule becomes one rule for each arm, called RULE/ARM, with the
 * criteria of the rule and the options of the arm.
 */
#include "parse.h"
#include "quantity.h"
#include "rule_trial.h"

#include <stdio.h>
#include <string.h>

#define NANOSECONDS    1000 /* of the microsecond that durations count in */
#define UNIT_MIN_US    1000000
#define UNIT_MAX_US    ((int64_t)7 * 86400 * 1000000)
#define MOST_DEFAULT   50000
#define MOST_MIN       8
#define MOST_MAX       1000000000
#define GUARD_LEAST    (-99)
#define GUARD_MOST     10000
#define SHARE_MAX      1000000
#define ARM_NAME_MAX   64
#define TRIAL_NAME_MAX 128

/* An arm with the rule that it becomes. */
struct arm_rule {
    struct rule rule;
    unsigned share; /* 0: not said */
};

/* A trial while it is read. */
struct trial_reading {
    struct reader *reader;
    const config_setting_t *group;
    const struct rule *rule; /* that it stands in */
    struct trial *trial;
    struct arm_rule arms[POLICY_TRIAL_ARMS_MAX];
    bool failed;
};

/* Errors, after which the rule has no arms. */
#define trial_error(reading, setting, ...)                                                         \
    ((reading)->failed = true, parse_error((reading)->reader, setting, __VA_ARGS__))

/* Numbers */

static bool read_count(struct trial_reading *reading, const config_setting_t *setting, int64_t from,
                       int64_t to, int64_t *number)
{
    struct scalar scalar;
    const char *text;
    if (!parse_scalar(reading->reader, setting, &scalar, &text)) {
        reading->failed = true;
        return false;
    }
    if (scalar.type == SCALAR_INT && scalar.integer >= from && scalar.integer <= to) {
        *number = scalar.integer;
        return true;
    }
    trial_error(reading, setting, "%s: expected a number from %lld to %lld",
                config_setting_name(setting), (long long)from, (long long)to);
    return false;
}

static void read_unit(struct trial_reading *reading, const config_setting_t *setting)
{
    const char *text = parse_string(reading->reader, setting, "unit");
    int64_t microseconds;
    reading->failed |= text == NULL;
    if (text == NULL || strcmp(text, "connection") == 0)
        return;
    if (quantity_read(text, quantity_durations, 1, &microseconds) != QUANTITY_READ ||
        microseconds < UNIT_MIN_US || microseconds > UNIT_MAX_US)
        trial_error(reading, setting,
                    "unit: expected \"connection\" or a time from \"1s\" to \"7d\", not \"%s\"",
                    text);
    else
        reading->trial->unit_ns = (uint64_t)microseconds * NANOSECONDS;
}

static void read_seed(struct trial_reading *reading, const config_setting_t *setting)
{
    int64_t seed = 0;
    if (read_count(reading, setting, 0, INT64_MAX, &seed))
        reading->trial->seed = (uint64_t)seed;
}

static void read_most(struct trial_reading *reading, const config_setting_t *setting)
{
    int64_t most = 0;
    if (read_count(reading, setting, MOST_MIN, MOST_MAX, &most))
        reading->trial->most = (uint64_t)most;
}

/* Metrics */

static bool find_metric(struct trial_reading *reading, const config_setting_t *setting,
                        const char *name, unsigned *metric)
{
    const char *words[TRIAL_METRICS + 1] = {NULL};
    for (unsigned i = 0; i < TRIAL_METRICS; i++) {
        words[i] = trial_metrics[i].name;
        *metric = i;
        if (strcmp(name, words[i]) == 0)
            return true;
    }
    reading->failed = true;
    parse_unknown(reading->reader, setting, "metric", name, words);
    return false;
}

static void read_metric(struct trial_reading *reading, const config_setting_t *setting)
{
    const char *name = parse_string(reading->reader, setting, "metric");
    unsigned metric;
    reading->failed |= name == NULL;
    if (name != NULL && find_metric(reading, setting, name, &metric))
        reading->trial->metric = (uint8_t)metric;
}

/* "+50%" */
static bool read_change(const char *text, int32_t *percent)
{
    char sign, end, more;
    unsigned number;
    if (sscanf(text, "%c%5u%c%c", &sign, &number, &end, &more) != 3 || end != '%')
        return false;
    if (sign != '+' && sign != '-')
        return false;
    *percent = sign == '+' ? (int32_t)number : -(int32_t)number;
    return *percent != 0 && *percent >= GUARD_LEAST && *percent <= GUARD_MOST;
}

static void read_guard(struct trial_reading *reading, const config_setting_t *setting)
{
    const char *name = config_setting_name(setting);
    const char *text = parse_string(reading->reader, setting, name);
    unsigned metric;
    reading->failed |= text == NULL;
    if (text == NULL || !find_metric(reading, setting, name, &metric))
        return;
    if (!read_change(text, &reading->trial->guards[metric]))
        trial_error(reading, setting,
                    "guard: %s: expected the change that ends the trial, from \"-99%%\" to "
                    "\"+10000%%\", not \"%s\"",
                    name, text);
    else if ((reading->trial->guards[metric] < 0) != trial_metrics[metric].more_is_better)
        trial_error(reading, setting,
                    "guard: %s: a change of %s is no harm: write \"%s\" to end a trial that makes "
                    "it worse",
                    name, text, trial_metrics[metric].more_is_better ? "-20%" : "+20%");
}

static void read_guards(struct trial_reading *reading, const config_setting_t *group)
{
    if (!config_setting_is_group(group)) {
        trial_error(reading, group, "guard: expected a group { resent = \"+50%%\"; }, not %s",
                    type_name(group));
        return;
    }
    for (int i = 0; i < config_setting_length(group); i++)
        read_guard(reading, config_setting_get_elem(group, (unsigned)i));
}

/* Arms */

static const char *const arm_words[] = {"name", "share", "set", "default", NULL};

static void read_arm_name(struct trial_reading *reading, const config_setting_t *setting,
                          struct trial_arm *arm)
{
    const char *name = parse_string(reading->reader, setting, "name");
    reading->failed |= name == NULL;
    if (name == NULL)
        return;
    if (strlen(name) > ARM_NAME_MAX || strchr(name, '/') != NULL)
        trial_error(reading, setting, "name: expected at most %d characters without a slash",
                    ARM_NAME_MAX);
    for (const struct trial_arm *other = reading->trial->arms; other < arm; other++)
        if (strcmp(other->name, name) == 0)
            trial_error(reading, setting, "name: there is an arm \"%s\" already", name);
    arm->name = name;
}

static void read_arm_setting(struct trial_reading *reading, const config_setting_t *setting,
                             struct trial_arm *arm, struct arm_rule *rule)
{
    const char *name = config_setting_name(setting);
    int64_t share = 0;
    if (strcmp(name, "name") == 0)
        read_arm_name(reading, setting, arm);
    else if (strcmp(name, "set") == 0)
        parse_settings(reading->reader, setting, MODE_SET, &rule->rule);
    else if (strcmp(name, "default") == 0)
        parse_settings(reading->reader, setting, MODE_DEFAULT, &rule->rule);
    else if (strcmp(name, "share") == 0 && read_count(reading, setting, 1, SHARE_MAX, &share))
        rule->share = (unsigned)share;
    else if (strcmp(name, "share") != 0) {
        reading->failed = true;
        parse_unknown(reading->reader, setting, "setting of an arm", name, arm_words);
    }
}

static void read_arm(struct trial_reading *reading, const config_setting_t *group)
{
    struct trial_arm *arm = &reading->trial->arms[reading->trial->arm_count];
    struct arm_rule *rule = &reading->arms[reading->trial->arm_count];
    if (!config_setting_is_group(group)) {
        trial_error(reading, group, "arms: expected { name = \"...\"; set = { ... }; }, not %s",
                    type_name(group));
        return;
    }
    arm->at = setting_at(reading->reader, group);
    rule->rule = *reading->rule;
    rule->rule.at = arm->at;
    for (int i = 0; i < config_setting_length(group); i++)
        read_arm_setting(reading, config_setting_get_elem(group, (unsigned)i), arm, rule);
    if (arm->name == NULL)
        trial_error(reading, group, "arms: an arm needs a name");
    arm->share = rule->share != 0 ? rule->share : 1;
    reading->trial->arm_count++;
}

static void read_arms(struct trial_reading *reading, const config_setting_t *list)
{
    int count = config_setting_is_list(list) ? config_setting_length(list) : 0;
    if (count < 2 || count > (int)POLICY_TRIAL_ARMS_MAX) {
        trial_error(reading, list,
                    "arms: expected a list of 2 to %u arms: ( { name = \"as it is\"; }, { name = "
                    "\"...\"; set = { ... }; } )",
                    POLICY_TRIAL_ARMS_MAX);
        return;
    }
    for (int i = 0; i < count; i++)
        read_arm(reading, config_setting_get_elem(list, (unsigned)i));
}

/* The whole */

static const struct {
    const char *name;
    void (*read)(struct trial_reading *reading, const config_setting_t *setting);
} trial_keywords[] = {{"arms", read_arms}, {"unit", read_unit}, {"metric", read_metric},
                      {"seed", read_seed}, {"most", read_most}, {"guard", read_guards}};
enum { TRIAL_KEYWORDS = sizeof trial_keywords / sizeof *trial_keywords };

static void read_trial_setting(struct trial_reading *reading, const config_setting_t *setting)
{
    const char *words[TRIAL_KEYWORDS + 1] = {NULL};
    for (size_t i = 0; i < TRIAL_KEYWORDS; i++) {
        words[i] = trial_keywords[i].name;
        if (strcmp(words[i], config_setting_name(setting)) == 0) {
            trial_keywords[i].read(reading, setting);
            return;
        }
    }
    reading->failed = true;
    parse_unknown(reading->reader, setting, "setting of a trial", config_setting_name(setting),
                  words);
}

/* What must be written: nobody should compare by a metric that they did not choose. */
static void require_settings(struct trial_reading *reading)
{
    static const char *const required[] = {"arms", "unit", "metric"};
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (config_setting_get_member(reading->group, required[i]) == NULL)
            trial_error(reading, reading->group, "trial: %s is missing", required[i]);
}

/* All arms have the same number of intervals. */
static void refuse_unequal_shares(struct trial_reading *reading)
{
    const struct trial *trial = reading->trial;
    for (unsigned i = 1; trial->unit_ns != 0 && i < trial->arm_count; i++)
        if (trial->arms[i].share != trial->arms[0].share) {
            trial_error(reading, reading->group,
                        "trial: with a unit of time all arms have the same share");
            return;
        }
}

static void check_rule_of_trial(struct trial_reading *reading)
{
    const struct rule *rule = reading->rule;
    if (rule->setting_count != 0)
        trial_error(reading, reading->group,
                    "trial: its rule sets no options itself: move them into the arms, or into a "
                    "rule before it");
    if (rule->final)
        trial_error(reading, reading->group, "trial: its rule cannot be final");
    if ((rule->roles & (ROLE_CONNECT | ROLE_ACCEPT)) == 0 ||
        (rule->protocols & PROTOCOL_TCP) == 0 || (rule->families & FAMILY_IP) == 0)
        trial_error(reading, reading->group,
                    "trial: it compares TCP connections: its rule must allow the role connect or "
                    "accept, the protocol tcp, and inet or inet6");
    if (strlen(rule->name) > TRIAL_NAME_MAX || strchr(rule->name, '/') != NULL)
        trial_error(reading, reading->group,
                    "trial: the name of its rule: expected at most %d characters without a slash",
                    TRIAL_NAME_MAX);
}

/* The rules before it that belong to trials: all arms of one lie together. */
static uint16_t count_trials(const struct ruleset *ruleset)
{
    uint16_t count = 0;
    for (size_t i = 0; i < ruleset->rule_count; i++)
        if (ruleset->rules[i].trial != NULL && ruleset->rules[i].trial_arm == 0)
            count++;
    return count;
}

/* The rule of an arm, with all but its options. */
static void make_arm(struct trial_reading *reading, unsigned arm)
{
    struct rule *rule = &reading->arms[arm].rule;
    rule->name = arena_print(reading->reader->arena, "%s/%s", reading->trial->name,
                             reading->trial->arms[arm].name);
    rule->trial = reading->trial;
    rule->trial_arm = arm;
    rule->report = true;
    rule->roles &= ROLE_CONNECT | ROLE_ACCEPT;
    rule->protocols = PROTOCOL_TCP;
    rule->families &= FAMILY_IP;
}

/* The arms take the place of the rule, which is the last one. */
static void put_arms(struct trial_reading *reading)
{
    struct ruleset *ruleset = reading->reader->ruleset;
    ruleset->rule_count--;
    for (unsigned i = 0; i < reading->trial->arm_count; i++) {
        make_arm(reading, i);
        trial_refuse_options(reading->reader->diagnostics, &reading->arms[i].rule);
        ruleset->rules = arena_grow(reading->reader->arena, ruleset->rules, ruleset->rule_count,
                                    sizeof *ruleset->rules);
        ruleset->rules[ruleset->rule_count++] = reading->arms[i].rule;
    }
}

void parse_trial(struct reader *reader, const config_setting_t *group, const struct rule *rule)
{
    struct trial_reading reading = {.reader = reader, .group = group, .rule = rule};
    struct rule copy = *rule;
    uint16_t number = count_trials(reader->ruleset);
    if (!config_setting_is_group(group)) {
        parse_error(reader, group, "trial: expected a group { arms = ...; }, not %s",
                    type_name(group));
        return;
    }
    reading.rule = &copy;
    reading.trial = arena_alloc(reader->arena, sizeof *reading.trial);
    *reading.trial = (struct trial){.name = rule->name,
                                    .at = setting_at(reader, group),
                                    .number = number,
                                    .most = MOST_DEFAULT};
    require_settings(&reading);
    for (int i = 0; i < config_setting_length(group); i++)
        read_trial_setting(&reading, config_setting_get_elem(group, (unsigned)i));
    refuse_unequal_shares(&reading);
    check_rule_of_trial(&reading);
    if (number >= POLICY_TRIALS_MAX)
        trial_error(&reading, group, "trial: there are %u before it, and more are too many",
                    POLICY_TRIALS_MAX);
    if (!reading.failed)
        put_arms(&reading);
}
