/* SPDX-License-Identifier: MIT */
/*
 * Limits of front ends, as diagnostics and as JSON.
 */
#include "front_end_limits.h"
#include "attach.h"
#include "commands.h"
#include "format_option.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

void list_front_ends(char *text, size_t size)
{
    size_t used = 0;
    for (unsigned i = 0; i < FRONT_END_COUNT && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i != 0 ? ", " : "",
                                 front_end_name((enum front_end)i));
}

int read_front_end(const char *name, enum front_end *front_end)
{
    char names[128];
    *front_end = FRONT_END_COUNT;
    if (name == NULL)
        return 0;
    *front_end = front_end_find(name);
    if (*front_end != FRONT_END_COUNT)
        return 0;
    list_front_ends(names, sizeof names);
    return command_misuse("--by \"%s\": there are %s", name, names);
}

/* Attach */

/* NULL, after a message, if the settings cannot be tried. */
static struct attach_result *probe_policy(const struct policy *policy)
{
    struct attach_result *results = calloc(policy->action_count + 1u, sizeof *results);
    struct attach_error error;
    if (results == NULL || attach_try_policy(policy, results, &error) == 0)
        return results;
    command_failure("which settings this kernel lets BPF make is unknown: %s", error.text);
    free(results);
    return NULL;
}

static void keep_first_error(void *context, enum severity severity, struct location at,
                             const char *message)
{
    struct policy_limits *limits = context;
    if (severity == SEVERITY_ERROR && limits->refused[0] == '\0')
        snprintf(limits->refused, sizeof limits->refused,
                 "is not given, since attach refuses these rules (%s:%u: %s)", at.file, at.line,
                 message);
}

/* Nothing is attached if one rule cannot be attached. */
static int read_attach_limits(struct policy_limits *limits, bool probe)
{
    const struct policy *policy = limits->policy;
    struct diagnostics diagnostics = {.report = keep_first_error, .context = limits};
    struct attach_tables tables;
    limits->results = probe ? probe_policy(policy) : NULL;
    limits->found = calloc(policy->action_count + 1u, sizeof *limits->found);
    if (limits->found == NULL)
        return -1;
    attach_flatten(policy, limits->results, &diagnostics, &tables);
    attach_tables_free(&tables);
    for (uint32_t i = 0; i < policy->action_count; i++)
        limits->found[i] = (struct front_end_limit){
            .front_end = FRONT_END_ATTACH,
            .certainty = LIMIT_MISSES,
            .reason = limits->refused[0] != '\0' ? limits->refused
                                                 : attach_refusal_of(policy, limits->results, i)};
    return 0;
}

static void diagnose_attach(const struct policy *policy, struct diagnostics *diagnostics)
{
    struct attach_result *results = probe_policy(policy);
    struct attach_tables tables;
    attach_flatten(policy, results, diagnostics, &tables);
    attach_tables_free(&tables);
    free(results);
}

/* All front ends */

int limits_read(struct policy_limits *limits, const struct policy *policy, enum front_end front_end,
                bool probe)
{
    *limits = (struct policy_limits){.front_end = front_end, .policy = policy};
    return front_end == FRONT_END_ATTACH ? read_attach_limits(limits, probe) : 0;
}

void limits_free(struct policy_limits *limits)
{
    free(limits->results);
    free(limits->found);
}

const struct front_end_limit *limits_of(const struct policy_limits *limits, uint32_t action,
                                        unsigned phases)
{
    if (limits->front_end == FRONT_END_COUNT)
        return NULL;
    if (limits->front_end == FRONT_END_ATTACH)
        return limits->found[action].reason != NULL ? &limits->found[action] : NULL;
    return front_end_limit_of(limits->front_end, limits->policy, &limits->policy->actions[action],
                              phases);
}

bool limits_report(const struct policy_limits *limits, int type, int protocol)
{
    if (limits->front_end == FRONT_END_ATTACH)
        return limits->refused[0] == '\0' && type == SOCK_STREAM &&
               (protocol == 0 || protocol == IPPROTO_TCP);
    return limits->front_end != FRONT_END_SUPERVISE || type == SOCK_STREAM;
}

/* Only programs that have the library take new rules at run time. */
static void diagnose_live(const struct policy *policy, enum front_end front_end,
                          struct diagnostics *diagnostics)
{
    const char *path =
        policy->source_count != 0 ? policy_string(policy, policy->sources[0].path) : "policy";
    if ((policy->flags & POLICY_LIVE) != 0 && front_end != FRONT_END_COUNT &&
        front_end != FRONT_END_PRELOAD)
        diagnose(diagnostics, SEVERITY_WARNING, (struct location){path, 0},
                 "live: by %s, programs take no new rules while they run",
                 front_end_name(front_end));
}

/* The context of limits_of_rule(). */
struct limits_check {
    const struct policy *policy;
    enum front_end front_end;
    struct diagnostics *diagnostics;
};

static const char *find_reason(void *context, uint32_t action)
{
    const struct limits_check *check = context;
    return front_end_reason(check->front_end, check->policy, action);
}

static void diagnose_reason(void *context, uint32_t first, const char *subject, const char *reason)
{
    const struct limits_check *check = context;
    const struct policy_action *action = &check->policy->actions[first];
    const struct location at = {policy_string(check->policy, action->file), action->line};
    diagnose(check->diagnostics, SEVERITY_WARNING, at, "by %s, %s %s",
             front_end_name(check->front_end), subject, reason);
}

void diagnose_limits(const struct policy *policy, enum front_end front_end,
                     struct diagnostics *diagnostics)
{
    struct limits_check check = {policy, front_end, diagnostics};
    const struct limit_report to = {find_reason, diagnose_reason, &check};
    diagnose_live(policy, front_end, diagnostics);
    if (front_end == FRONT_END_ATTACH) {
        diagnose_attach(policy, diagnostics);
        return;
    }
    for (uint32_t i = 0; front_end != FRONT_END_COUNT && i < policy->rule_count; i++)
        limits_of_rule(policy, &policy->rules[i], &to);
}

json_t *limit_json(const struct policy *policy, uint32_t action,
                   const struct front_end_limit *limit)
{
    json_t *object = action_json_where(policy, action);
    json_object_set_new(object, "by", json_string(front_end_name(limit->front_end)));
    json_object_set_new(object, "certainty", json_string(limit_certainty_name(limit->certainty)));
    json_object_set_new(object, "reason", json_string(limit->reason));
    return object;
}
