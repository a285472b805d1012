/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: options keep the policy's order, in which the kernel needs them set. First
 * the options are renumbered without those that the kernel refuses; then rules are copied and their
 * ranges renumbered.
 */
#include "flatten.h"

#include "compat.h"
#include "front_ends.h"
#include "sockinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEFT_OUT = UINT16_MAX };

/* The state that the functions below share. */
struct flattening {
    const struct policy *policy;
    const struct attach_result *results;
    struct diagnostics *diagnostics;
    struct attach_tables *tables;
    uint16_t option_numbers[POLICY_OPTIONS_MAX]; /* new number of each option, or LEFT_OUT */
};

static const struct policy_option *option_of(const struct policy *policy,
                                             const struct policy_action *action)
{
    return &policy->options[action->option];
}

static struct location at_action(const struct policy *policy, const struct policy_action *action)
{
    return (struct location){policy_string(policy, action->file), action->line};
}

static struct location at_rule(const struct policy *policy, const struct policy_rule *rule)
{
    return (struct location){policy_string(policy, rule->file), rule->line};
}

/* Values */

/* bpf_setsockopt() takes a pacing rate as an int; its greatest value also means no limit. */
static uint32_t copy_value(const struct policy *policy, const struct policy_action *action,
                           uint8_t value[ATTACH_VALUE_SIZE])
{
    const struct policy_option *option = option_of(policy, action);
    uint64_t rate;
    if (action->length > ATTACH_VALUE_SIZE)
        return 0;
    memcpy(value, policy_string(policy, action->value), action->length);
    if (option->level != SOL_SOCKET || option->optname != SO_MAX_PACING_RATE ||
        action->length != sizeof rate)
        return action->length;
    memcpy(&rate, value, sizeof rate);
    if (rate != UINT64_MAX && rate >= UINT32_MAX)
        return action->length;
    uint32_t narrow = (uint32_t)rate;
    memset(value, 0, ATTACH_VALUE_SIZE);
    memcpy(value, &narrow, sizeof narrow);
    return sizeof narrow;
}

void attach_trials_of(const struct policy *policy, struct attach_trial *trials)
{
    for (uint32_t i = 0; i < policy->action_count; i++) {
        const struct policy_action *action = &policy->actions[i];
        const struct policy_option *option = option_of(policy, action);
        trials[i] = (struct attach_trial){.level = option->level, .optname = option->optname};
        if (action->mode != MODE_IGNORE && option->level != LEVEL_SOCKTUNE)
            trials[i].length = copy_value(policy, action, trials[i].value);
    }
}

/* Which actions are possible */

enum {
    PHASES_REACHED = PHASE_ALL & ~PHASE_BIT(PHASE_CONNECTED),
    PROTOCOLS_REACHED = PROTOCOL_TCP | PROTOCOL_UDP | PROTOCOL_UDPLITE
};

const char *attach_refusal(const struct policy *policy, const struct policy_action *action)
{
    const struct policy_rule *rule =
        policy_rule_of_action(policy, (uint32_t)(action - policy->actions));
    if (rule->trial.count != 0)
        return "is of an arm of a trial: only the preloaded library and `run --supervise` carry "
               "out "
               "trials";
    if ((rule->flags & RULE_REQUIRE) != 0)
        return "is in a rule with require, and attach cannot make a call fail";
    if (action->op == OP_TRANSPORT)
        return "is chosen at socket(), where BPF has no say";
    if ((action->families & FAMILY_IP) == 0)
        return "is for AF_UNIX sockets, which BPF does not reach";
    if ((action->protocols & PROTOCOLS_REACHED) == 0)
        return "is for protocols other than TCP and UDP, which BPF does not reach";
    if (action->mode == MODE_IGNORE)
        return NULL;
    if (action->mode > MODE_FORCE)
        return "can only be given with set, default or force";
    if ((action->phases & PHASES_REACHED) == 0)
        return "has to be set after connect(), where no BPF program runs";
    if (action->op != OP_SOURCE && action->length > ATTACH_VALUE_SIZE)
        return "has a value of more than 16 bytes, which does not fit into the BPF map";
    return NULL;
}

/* Returns why the kernel refuses the action; NULL if it does not. */
static const char *kernel_refusal(const struct policy *policy, const struct attach_result *results,
                                  uint32_t index)
{
    static char texts[256][64]; /* by error number: callers keep the pointer */
    const struct policy_action *action = &policy->actions[index];
    if (results == NULL || action->mode == MODE_IGNORE || action->op == OP_SOURCE)
        return NULL;
    const int32_t *error = results[index].error;
    bool v4 = (action->families & FAMILY_INET) != 0, v6 = (action->families & FAMILY_INET6) != 0;
    if ((v4 && error[0] == 0) || (v6 && error[1] == 0))
        return NULL;
    int32_t result = v4 ? error[0] : error[1];
    if (result == -EINVAL || result == -ENOPROTOOPT || result == -EOPNOTSUPP)
        return "is not among the options that this kernel lets BPF set";
    char *text = texts[(unsigned)-result % 256];
    snprintf(text, sizeof texts[0], "is refused by this kernel: %s", strerror(-result));
    return text;
}

const char *attach_refusal_of(const struct policy *policy, const struct attach_result *results,
                              uint32_t index)
{
    const char *why = attach_refusal(policy, &policy->actions[index]);
    return why != NULL ? why : kernel_refusal(policy, results, index);
}

static const char *refusal_of(const struct flattening *f, uint32_t index)
{
    return attach_refusal_of(f->policy, f->results, index);
}

/* Options */

static int number_options(struct flattening *f)
{
    const struct policy *policy = f->policy;
    struct attach_tables *tables = f->tables;
    bool used[POLICY_OPTIONS_MAX] = {false};
    for (uint32_t i = 0; i < policy->action_count; i++)
        if (refusal_of(f, i) == NULL)
            used[policy->actions[i].option] = true;
    for (uint32_t i = 0; i < policy->option_count; i++) {
        const struct policy_option *option = &policy->options[i];
        f->option_numbers[i] = LEFT_OUT;
        if (!used[i])
            continue;
        if (tables->option_count == ATTACH_OPTIONS_MAX) {
            diagnose(f->diagnostics, SEVERITY_ERROR, at_rule(policy, policy->rules),
                     "the rules name more than %d options; attach takes no more",
                     ATTACH_OPTIONS_MAX);
            return -1;
        }
        f->option_numbers[i] = (uint16_t)tables->option_count;
        tables->options[tables->option_count++] =
            (struct attach_option){option->level, option->optname, option->flags, option->least, 0};
    }
    return 0;
}

/* Adds what the program may set, and the option that it affects. */
static void add_guards(struct flattening *f)
{
    const struct policy *policy = f->policy;
    struct attach_tables *tables = f->tables;
    for (uint32_t i = 0; i < policy->option_count; i++)
        if (f->option_numbers[i] != LEFT_OUT && policy->options[i].level != LEVEL_SOCKTUNE)
            tables->guards[tables->guard_count++] =
                (struct attach_guard){policy->options[i].level, policy->options[i].optname,
                                      f->option_numbers[i], SIBLING_SAME};
    for (uint32_t i = 0; i < policy->sibling_count; i++) {
        const struct policy_sibling *sibling = &policy->siblings[i];
        if (f->option_numbers[sibling->option] != LEFT_OUT)
            tables->guards[tables->guard_count++] =
                (struct attach_guard){sibling->level, sibling->optname,
                                      f->option_numbers[sibling->option], sibling->effect};
    }
}

/* Rules */

/* The BPF kind of each matcher, or why BPF cannot compare it. */
static const struct {
    uint16_t kind;
    const char *refusal; /* NULL: supported */
} matcher_kinds[MATCHER_COUNT] = {
    [MATCHER_PROGRAM] = {ATTACH_NAME, NULL},
    [MATCHER_USER] = {ATTACH_USER, NULL},
    [MATCHER_GROUP] = {ATTACH_GROUP, NULL},
    [MATCHER_PATH] = {0, "a program's path cannot be seen by BPF; write its name alone"},
    [MATCHER_COMMAND] = {0, "a command line cannot be seen by BPF; match by program instead"},
    [MATCHER_SCRIPT] = {0, "a script's name cannot be seen by BPF; match by program instead"},
    [MATCHER_CGROUP] = {0, "attach does not match by cgroup; attach the rules to that cgroup"},
    [MATCHER_UNIT] = {0, "attach does not match by unit; attach the rules to that unit"},
};
_Static_assert(MATCHER_COUNT == 8,
               "a new criterion needs a row: else it would be taken for ATTACH_NAME");

static int flatten_matcher(struct flattening *f, const struct policy_rule *rule,
                           const struct policy_matcher *matcher)
{
    const struct policy *policy = f->policy;
    const char *pattern = policy_string(policy, matcher->pattern);
    struct attach_matcher flat = {.kind = matcher_kinds[matcher->kind].kind,
                                  .negate = (uint16_t)matcher->negate,
                                  .id = matcher->id};
    const char *wrong = matcher_kinds[matcher->kind].refusal;
    if (wrong == NULL && strlen(pattern) >= sizeof flat.pattern)
        wrong = "a program's name of more than 63 bytes does not fit into the BPF map";
    if (wrong != NULL) {
        diagnose(f->diagnostics, SEVERITY_ERROR, at_rule(policy, rule), "rule \"%s\": %s",
                 policy_string(policy, rule->name), wrong);
        return -1;
    }
    memcpy(flat.pattern, pattern, strlen(pattern));
    f->tables->matchers[f->tables->matcher_count++] = flat;
    return 0;
}

static uint64_t mask_of(unsigned bits)
{
    return bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : UINT64_MAX << (64 - bits);
}

static struct policy_range flatten_prefixes(struct flattening *f, struct policy_range range)
{
    struct attach_tables *tables = f->tables;
    struct policy_range flat = {tables->prefix_count, range.count};
    for (uint32_t i = 0; i < range.count; i++) {
        const struct policy_prefix *prefix = &f->policy->prefixes[range.first + i];
        struct halves halves = address_halves(prefix->address);
        tables->prefixes[tables->prefix_count++] = (struct attach_prefix){
            .high = halves.high,
            .low = halves.low,
            .mask_high = mask_of(prefix->length),
            .mask_low = mask_of(prefix->length > 64 ? prefix->length - 64u : 0),
            .v4 = prefix->v4,
            .negate = prefix->negate,
            .all = prefix->length == (prefix->v4 ? 96 : 0)};
    }
    return flat;
}

static struct policy_range flatten_ports(struct flattening *f, struct policy_range range)
{
    struct attach_tables *tables = f->tables;
    struct policy_range flat = {tables->port_count, range.count};
    memcpy(&tables->ports[tables->port_count], &f->policy->ports[range.first],
           range.count * sizeof *tables->ports);
    tables->port_count += range.count;
    return flat;
}

static void note_needs(struct attach_needs *needs, const struct policy_option *option,
                       const struct policy_action *action)
{
    const unsigned listener = PHASE_BIT(PHASE_LISTEN) | PHASE_BIT(PHASE_LISTENING) |
                              PHASE_BIT(PHASE_ACCEPT) | PHASE_BIT(PHASE_ACCEPT_WILDCARD);
    bool at_socket = (action->phases & PHASE_BIT(PHASE_SOCKET)) != 0;
    bool datagram = (action->protocols & PROTOCOL_DATAGRAM) != 0;
    bool early = (option->flags & OPTION_EARLY) != 0;
    needs->bind |= (action->phases & PHASE_BIT(PHASE_BIND)) != 0 ||
                   (at_socket && (datagram || early) && action->op != OP_SOURCE);
    needs->connect |= at_socket || (action->phases & PHASE_BIT(PHASE_CONNECT)) != 0;
    needs->listen |= at_socket || (action->phases & listener) != 0;
    needs->setsockopt |= action->mode != MODE_SET && option->level != LEVEL_SOCKTUNE;
}

static const char *find_refusal(void *context, uint32_t action)
{
    return refusal_of(context, action);
}

static void diagnose_refusal(void *context, uint32_t first, const char *subject, const char *reason)
{
    const struct flattening *f = context;
    diagnose(f->diagnostics, SEVERITY_WARNING, at_action(f->policy, &f->policy->actions[first]),
             "by attach, %s %s", subject, reason);
}

static void flatten_action(struct flattening *f, uint32_t index)
{
    const struct policy_action *action = &f->policy->actions[index];
    struct attach_tables *tables = f->tables;
    if (refusal_of(f, index) != NULL)
        return;
    struct attach_action *flat = &tables->actions[tables->action_count];
    *flat = (struct attach_action){.option = (uint8_t)f->option_numbers[action->option],
                                   .mode = action->mode,
                                   .op = action->op,
                                   .families = action->families,
                                   .phases = action->phases,
                                   .protocols = action->protocols,
                                   .mask = action->mask};
    if (action->mode != MODE_IGNORE)
        flat->length = copy_value(f->policy, action, flat->value);
    note_needs(&tables->needs, option_of(f->policy, action), action);
    tables->origins[tables->action_count++] = index;
}

bool attach_reports(const struct policy_rule *rule)
{
    return (rule->flags & RULE_REPORT) != 0 && (rule->roles & ROLE_STREAM) != 0 &&
           (rule->protocols & PROTOCOL_TCP) != 0 && (rule->families & FAMILY_IP) != 0;
}

/* Warns about reports of the rule that `attach` does not make. */
static void check_report(const struct flattening *f, const struct policy_rule *rule)
{
    const char *name = policy_string(f->policy, rule->name);
    if ((rule->flags & RULE_REPORT) == 0)
        return;
    if (!attach_reports(rule))
        diagnose(f->diagnostics, SEVERITY_WARNING, at_rule(f->policy, rule),
                 "rule \"%s\": attach reports TCP connections and listeners, and the rule is for "
                 "none",
                 name);
    else if ((rule->flags & RULE_HANDOFF) != 0)
        diagnose(f->diagnostics, SEVERITY_WARNING, at_rule(f->policy, rule),
                 "rule \"%s\": attach reports connections, but hands none over to the helper",
                 name);
}

static int flatten_rule(struct flattening *f, const struct policy_rule *rule)
{
    struct attach_tables *tables = f->tables;
    struct attach_rule *flat = &tables->rules[tables->rule_count];
    *flat = (struct attach_rule){.protocols = rule->protocols,
                                 .roles = rule->roles,
                                 .families = rule->families,
                                 .final = (rule->flags & RULE_FINAL) != 0,
                                 .report = attach_reports(rule),
                                 .matchers = {tables->matcher_count, rule->matchers.count}};
    snprintf(tables->rule_names[tables->rule_count], sizeof *tables->rule_names, "%s",
             policy_string(f->policy, rule->name));
    for (uint32_t i = 0; i < rule->matchers.count; i++)
        if (flatten_matcher(f, rule, &f->policy->matchers[rule->matchers.first + i]) != 0)
            return -1;
    flat->local = flatten_prefixes(f, rule->local);
    flat->remote = flatten_prefixes(f, rule->remote);
    flat->local_port = flatten_ports(f, rule->local_port);
    flat->remote_port = flatten_ports(f, rule->remote_port);
    flat->actions.first = tables->action_count;
    limits_of_rule(f->policy, rule, &(struct limit_report){find_refusal, diagnose_refusal, f});
    for (uint32_t i = 0; i < rule->actions.count; i++)
        flatten_action(f, rule->actions.first + i);
    flat->actions.count = tables->action_count - flat->actions.first;
    check_report(f, rule);
    tables->needs.report |= flat->report != 0;
    tables->needs.listen |= flat->report != 0;
    tables->rule_count++;
    return 0;
}

/* The whole policy */

static int check_limits(const struct policy *policy, struct diagnostics *diagnostics)
{
    if (policy->rule_count > ATTACH_RULES_MAX) {
        diagnose(diagnostics, SEVERITY_ERROR, at_rule(policy, &policy->rules[ATTACH_RULES_MAX]),
                 "there are %u rules, and attach takes at most %d; attach the rules of one unit or "
                 "container to its cgroup",
                 policy->rule_count, ATTACH_RULES_MAX);
        return -1;
    }
    if (policy->action_count >= ATTACH_ACTIONS_MAX) {
        diagnose(diagnostics, SEVERITY_ERROR, at_rule(policy, policy->rules),
                 "the rules have %u settings, and attach takes at most %d", policy->action_count,
                 ATTACH_ACTIONS_MAX - 1);
        return -1;
    }
    return 0;
}

/* Rules may share ranges; each gets a copy. */
static int allocate_tables(const struct policy *policy, struct attach_tables *tables)
{
    size_t matchers = 1, prefixes = 1, ports = 1;
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        matchers += rule->matchers.count;
        prefixes += (size_t)rule->local.count + rule->remote.count;
        ports += (size_t)rule->local_port.count + rule->remote_port.count;
    }
    tables->rules = calloc(policy->rule_count + 1u, sizeof *tables->rules);
    tables->rule_names = calloc(policy->rule_count + 1u, sizeof *tables->rule_names);
    tables->actions = calloc(policy->action_count + 1u, sizeof *tables->actions);
    tables->origins = calloc(policy->action_count + 1u, sizeof *tables->origins);
    tables->options = calloc(ATTACH_OPTIONS_MAX, sizeof *tables->options);
    tables->matchers = calloc(matchers, sizeof *tables->matchers);
    tables->prefixes = calloc(prefixes, sizeof *tables->prefixes);
    tables->ports = calloc(ports, sizeof *tables->ports);
    tables->guards =
        calloc((size_t)policy->option_count + policy->sibling_count + 1u, sizeof *tables->guards);
    return tables->rules != NULL && tables->rule_names != NULL && tables->actions != NULL &&
                   tables->origins != NULL && tables->options != NULL && tables->matchers != NULL &&
                   tables->prefixes != NULL && tables->ports != NULL && tables->guards != NULL
               ? 0
               : -1;
}

int attach_flatten(const struct policy *policy, const struct attach_result *results,
                   struct diagnostics *diagnostics, struct attach_tables *tables)
{
    struct flattening f = {policy, results, diagnostics, tables, {0}};
    bool failed = false;
    *tables = (struct attach_tables){.rules = NULL};
    if (check_limits(policy, diagnostics) != 0)
        return -1;
    if (allocate_tables(policy, tables) != 0) {
        diagnose(diagnostics, SEVERITY_ERROR, (struct location){"", 0}, "%s", strerror(ENOMEM));
        return -1;
    }
    if (number_options(&f) != 0)
        return -1;
    add_guards(&f);
    for (uint32_t i = 0; i < policy->rule_count; i++)
        failed |= flatten_rule(&f, &policy->rules[i]) != 0;
    return failed ? -1 : 0;
}

void attach_tables_free(struct attach_tables *tables)
{
    free(tables->rules);
    free(tables->rule_names);
    free(tables->actions);
    free(tables->origins);
    free(tables->options);
    free(tables->matchers);
    free(tables->prefixes);
    free(tables->ports);
    free(tables->guards);
    *tables = (struct attach_tables){.rules = NULL};
}
