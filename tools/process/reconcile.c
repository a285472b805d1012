/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: simulate_effects() replays the history of the socket and says which action
 * won for each option, as `explain` does. For each of them, the current value is read and compared
 * with the value that the kernel would report had the action been carried out (config/value.h
 * predicts it; that is done beforehand, since it reads sysctls). If they differ, the option is set
 * and read again.
 */
#include "reconcile.h"
#include "format_option.h"
#include "names.h"
#include "read_option.h"
#include "simulate.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What getsockopt() answers once an action's value is set. */
struct expectation {
    bool predicted;
    struct value value;
};

bool option_floats(const struct option *row, const struct sockinfo *sockinfo, bool unset)
{
    return unset || row->echo == ECHO_UNCERTAIN ||
           (row->when == WHEN_HANDSHAKE && row->echo == ECHO_SAME &&
            sockinfo_is_connection(sockinfo));
}

static bool same_bytes(const struct value *one, const struct value *other)
{
    return one->length == other->length && memcmp(one->bytes, other->bytes, one->length) == 0;
}

/* Preparing */

/* The kernel doubles buffers, and does not cap those set by force. */
static bool expect_forced_buffer(const struct option *row, struct value *value)
{
    int bytes;
    if (row == NULL || option_reads(row->level, row->optname) == row->optname ||
        value->length != sizeof bytes)
        return false;
    memcpy(&bytes, value->bytes, sizeof bytes);
    bytes = (int)((unsigned)bytes * 2u);
    memcpy(value->bytes, &bytes, sizeof bytes);
    return true;
}

static void expect_action(const struct policy *policy, const struct policy_action *action,
                          struct expectation *expected)
{
    const struct option *row = action_option(policy, action);
    struct value value = {.length = action->length};
    memcpy(value.bytes, policy->data + action->value, action->length);
    expected->value = value;
    if (action->op != OP_SET)
        expected->predicted = false;
    else if (row == NULL)
        expected->predicted = true; /* a raw one: as good as any guess */
    else
        expected->predicted = expect_forced_buffer(row, &expected->value) ||
                              value_read_back(row, &value, &expected->value);
    if (!expected->predicted)
        expected->value = value;
}

int reconciler_make(struct reconciler *reconciler, const struct policy *policy, bool dry_run)
{
    *reconciler = (struct reconciler){.policy = policy, .dry_run = dry_run};
    reconciler->expected = calloc(policy->action_count + 1u, sizeof *reconciler->expected);
    if (reconciler->expected == NULL)
        return -1;
    for (uint32_t i = 0; i < policy->action_count; i++) {
        expect_action(policy, &policy->actions[i], &reconciler->expected[i]);
        reconciler->needs_defaults |= policy->actions[i].mode == MODE_DEFAULT;
    }
    return 0;
}

void reconciler_free(struct reconciler *reconciler)
{
    free(reconciler->expected);
    *reconciler = (struct reconciler){.policy = NULL};
}

/* Deciding */

/* Which calls led to the socket as it is. */
static enum socket_history history_of(const struct socket_description *description)
{
    const struct sockinfo *sockinfo = &description->sockinfo;
    if (description->listens)
        return HISTORY_LISTEN;
    if (!(sockinfo->known & FACT_ROLE))
        return HISTORY_SOCKET;
    if (sockinfo->roles == ROLE_ACCEPT)
        return HISTORY_ACCEPT;
    if (sockinfo->roles == ROLE_CONNECT || description->remote_length)
        return HISTORY_CONNECT;
    return sockinfo->local_port || !address_is_unspecified(&sockinfo->local) ? HISTORY_LISTEN
                                                                             : HISTORY_SOCKET;
}

/* What must be set before bind() is set in the program whatever the rule's role, for that is not
 * known there. Here it is. */
static bool is_meant(const struct policy *policy, const struct effect *effect,
                     const struct sockinfo *sockinfo)
{
    return effect->inherited || !(sockinfo->known & FACT_ROLE) ||
           policy_rule_of_action(policy, effect->action)->roles & sockinfo->roles;
}

/* The winning action of each option. */
static void decide_actions(const struct reconciler *reconciler, const struct active *active,
                           const struct socket_description *description, struct decision *decision)
{
    const struct scenario scenario = {.history = history_of(description),
                                      .domain = description->domain,
                                      .type = description->type,
                                      .protocol = description->protocol,
                                      .local = description->local,
                                      .remote = description->remote,
                                      .open = true};
    struct outcome outcome;
    for (uint32_t i = 0; i < reconciler->policy->option_count; i++)
        decision->action[i] = NO_ACTION;
    simulate_effects(reconciler->policy, active, &scenario, &outcome);
    for (uint32_t i = 0; i < outcome.effect_count; i++) {
        uint32_t action = outcome.effects[i].action;
        if (is_meant(reconciler->policy, &outcome.effects[i], &description->sockinfo))
            decision->action[reconciler->policy->actions[action].option] = action;
    }
}

/* Does the option mean anything in the socket's role? */
static bool has_use(const struct option *row, const struct sockinfo *sockinfo)
{
    return row == NULL || !(sockinfo->known & FACT_ROLE) || row->roles & sockinfo->roles;
}

/* The kernel compares the count of SYNs with TCP_SYNCNT at each of them (tcp_write_timeout()); all
 * else that is part of the handshake is in the first. */
static bool counts_at_each_syn(const struct option *row)
{
    return row != NULL && row->level == IPPROTO_TCP && row->optname == TCP_SYNCNT;
}

static const char *too_late(const struct policy *policy, const struct policy_action *action,
                            const struct option *row, const struct socket_description *description)
{
    if (action->op == OP_TRANSPORT)
        return "too late: the protocol is chosen when a socket is made";
    if (action->op == OP_SOURCE)
        return "too late: the source address is chosen when a socket connects";
    if (action->op == OP_BACKLOG)
        return "too late: the program has called listen() already";
    if (description->connecting && counts_at_each_syn(row))
        return NULL;
    if (sockinfo_is_connection(&description->sockinfo) &&
        (policy->options[action->option].flags & OPTION_EARLY ||
         (row != NULL && row->when == WHEN_CONNECT)))
        return row != NULL && row->when == WHEN_BIND
                   ? "too late: the connection is bound to its address"
                   : "too late: the connection has begun its handshake";
    return NULL;
}

/* Options that are no option of the kernel: does the socket have it? */
static bool has_special(const struct policy_action *action, const struct value *wanted,
                        const struct socket_description *description)
{
    int32_t protocol;
    if (action->op == OP_BACKLOG)
        return false;
    if (action->op == OP_SOURCE)
        return memcmp(description->sockinfo.local.bytes, wanted->bytes,
                      sizeof description->sockinfo.local.bytes) == 0;
    memcpy(&protocol, wanted->bytes, sizeof protocol);
    return description->protocol == protocol;
}

/* Setting */

/* Of one socket, for the engine's questions and answers. */
struct reconciliation {
    const struct reconciler *reconciler;
    const struct socket_description *description;
    struct reconciled_socket *result;
};

/* What getsockopt() should answer once the option is set. Empty if that depends on what it answers
 * now, and it does not. */
static struct value expected_value(const struct reconciler *reconciler,
                                   const struct reconciled_option *result)
{
    const struct policy_action *action = &reconciler->policy->actions[result->action];
    struct value expected = reconciler->expected[result->action].value;
    if (action->op == OP_MERGE)
        expected.length = apply_value(reconciler->policy, action, result->before.bytes,
                                      result->before.length, expected.bytes);
    return expected;
}

/* Whether an option that was decided is to be set. */
static bool wants_action(const struct application *application, const struct policy_action *action,
                         enum phase phase)
{
    const struct reconciliation *reconciliation = application->context;
    const struct reconciler *reconciler = reconciliation->reconciler;
    const struct policy_option *option = &reconciler->policy->options[action->option];
    const struct option *row = action_option(reconciler->policy, action);
    bool special = policy_is_argument(action) || action->op == OP_SOURCE;
    struct reconciled_option *result;
    if (!has_use(row, &reconciliation->description->sockinfo))
        return false;
    result = &reconciliation->result->options[reconciliation->result->count++];
    *result =
        (struct reconciled_option){.action = (uint32_t)(action - reconciler->policy->actions)};
    if (!special)
        read_option(application->socket, option->level, option->optname, row, &result->before,
                    &result->unset);
    result->after = expected_value(reconciler, result);
    if (!result->after.length) {
        result->error = ENOPROTOOPT;
        result->result = RECONCILE_FAILED;
    } else if (policy_is_bound(action) && apply_yields(application, action, phase)) {
        result->after = result->before;
        result->result = RECONCILE_SAME;
    } else if (special ? has_special(action, &result->after, reconciliation->description)
                       : !result->unset && same_bytes(&result->after, &result->before)) {
        result->result = RECONCILE_SAME;
    } else if (!result->unset && apply_yields(application, action, phase)) {
        result->after = result->before;
        result->result = RECONCILE_KEPT;
    } else if ((result->late = too_late(reconciler->policy, action, row,
                                        reconciliation->description)) != NULL) {
        result->result = RECONCILE_FAILED;
    } else if (reconciler->dry_run) {
        result->result = result->before.length ? RECONCILE_CHANGED : RECONCILE_GIVEN;
    } else {
        return true;
    }
    return false;
}

/* An option was set: note what the kernel made of it. */
static void note_set(const struct application *application, const struct policy_action *action,
                     enum phase phase, enum applied applied, int error)
{
    const struct reconciliation *reconciliation = application->context;
    const struct policy *policy = application->policy;
    const struct policy_option *option = &policy->options[action->option];
    struct reconciled_option *result = reconciliation->result->options;
    struct value expected;
    bool unset;
    (void)phase;
    while (&policy->actions[result->action] != action)
        result++;
    expected = result->after;
    if (applied == APPLIED_FAILED) {
        result->error = error;
        result->result = RECONCILE_FAILED;
    } else if (!result->before.length ||
               !read_option(application->socket, option->level, option->optname,
                            action_option(policy, action), &result->after, &unset)) {
        result->result = RECONCILE_GIVEN;
    } else if (!same_bytes(&result->before, &result->after) || result->unset != unset) {
        result->result = RECONCILE_CHANGED;
    } else if (reconciliation->reconciler->expected[result->action].predicted &&
               !same_bytes(&expected, &result->after)) {
        result->late = "the kernel took it, and kept its value";
        result->result = RECONCILE_FAILED;
    } else {
        result->result = RECONCILE_SAME;
    }
}

void reconcile_socket(const struct socket_handle *socket,
                      const struct socket_description *description,
                      const struct default_value *defaults, const struct reconciler *reconciler,
                      const struct active *active, struct reconciled_socket *result)
{
    struct reconciliation reconciliation = {reconciler, description, result};
    const struct application application = {.policy = reconciler->policy,
                                            .sockinfo = &description->sockinfo,
                                            .socket = socket,
                                            .phases = PHASE_ALL,
                                            .timing = APPLY_AFTERWARDS,
                                            .defaults = defaults,
                                            .one_kind = true,
                                            .wants = wants_action,
                                            .report = note_set,
                                            .context = &reconciliation};
    struct decision decision;
    result->count = 0;
    if (!description->sockinfo.families)
        return;
    decide_actions(reconciler, active, description, &decision);
    apply_actions(&application, &decision);
}

/* Reasons */

void reconciled_reason(const struct policy *policy, const struct reconciled_option *option,
                       char *text, size_t size)
{
    const struct policy_action *action = &policy->actions[option->action];
    const struct option *row = action_option(policy, action);
    char privilege[64] = "";
    if (row != NULL)
        privilege_name(row, privilege, sizeof privilege);
    if (option->late != NULL)
        snprintf(text, size, "%s", option->late);
    else if ((option->error == EPERM || option->error == EACCES) && *privilege)
        snprintf(text, size, "not permitted: it takes %s in the socket's network namespace",
                 privilege);
    else if (option->error == EPERM)
        snprintf(text, size,
                 "not permitted: this value takes CAP_NET_ADMIN in the socket's network "
                 "namespace");
    else if (option->error == ENOPROTOOPT || option->error == EOPNOTSUPP)
        snprintf(text, size, "not supported by this kernel, or not on such a socket");
    else if (option->error == ENOENT && row != NULL && row->kind == KIND_STRING)
        snprintf(text, size, "this kernel does not have that one");
    else if (option->error == EINVAL && row != NULL && row->when == WHEN_BIND)
        snprintf(text, size, "too late: the socket is bound");
    else if (option->error == EINVAL)
        snprintf(text, size, "the kernel does not take this value on such a socket");
    else
        snprintf(text, size, "%s", strerror(option->error));
}
