/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: simulate() lives through the life that lies behind the socket, and tells
 * which action stands for each option at its end, just as `explain` does. For each,  the current
 * value is read and compared with what the kernel would answer had it been set (config/value.h
 * foretells that; it is worked out beforehand, since it reads sysctls). Equal: done. Else the
 * option is set and read again.
 */
#include "reconcile.h"
#include "format_option.h"
#include "kernel_socket.h"
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
    bool foretold;
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

/* --- preparing -------------------------------------------------------------------------------- */

/* The kernel doubles buffers, and does not cap those set by force. */
static bool expect_forced_buffer(const struct option *row, struct value *value)
{
    int bytes;

    if (!row || option_reads(row->level, row->optname) == row->optname ||
        value->length != sizeof bytes)
        return false;
    memcpy(&bytes, value->bytes, sizeof bytes);
    bytes = (int)((unsigned)bytes * 2u);
    memcpy(value->bytes, &bytes, sizeof bytes);
    return true;
}

static void expect(const struct policy *policy, const struct policy_action *action,
                   struct expectation *expected)
{
    const struct option *row = action_option(policy, action);
    struct value value = {.length = action->length};

    memcpy(value.bytes, policy->data + action->value, action->length);
    expected->value = value;
    if (action->op != OP_SET)
        expected->foretold = false;
    else if (!row)
        expected->foretold = true; /* a raw one: as good as any guess */
    else
        expected->foretold = expect_forced_buffer(row, &expected->value) ||
                             value_read_back(row, &value, &expected->value);
    if (!expected->foretold)
        expected->value = value;
}

int retuner_make(struct retuner *retuner, const struct policy *policy, bool dry_run)
{
    *retuner = (struct retuner){.policy = policy, .dry_run = dry_run};
    retuner->expected = calloc(policy->action_count + 1u, sizeof *retuner->expected);
    if (!retuner->expected)
        return -1;
    for (uint32_t i = 0; i < policy->action_count; i++) {
        expect(policy, &policy->actions[i], &retuner->expected[i]);
        retuner->wants_fresh |= policy->actions[i].mode == MODE_DEFAULT;
    }
    return 0;
}

void retuner_free(struct retuner *retuner)
{
    free(retuner->expected);
    *retuner = (struct retuner){.policy = NULL};
}

/* --- deciding --------------------------------------------------------------------------------- */

/* Which life lies behind the socket. */
static enum life life_of(const struct observed *observed)
{
    const struct sockinfo *sockinfo = &observed->sockinfo;

    if (observed->listens)
        return LIFE_LISTEN;
    if (!(sockinfo->known & FACT_ROLE))
        return LIFE_SOCKET;
    if (sockinfo->roles == ROLE_ACCEPT)
        return LIFE_ACCEPT;
    if (sockinfo->roles == ROLE_CONNECT || observed->remote_length)
        return LIFE_CONNECT;
    return sockinfo->local_port || !address_is_unspecified(&sockinfo->local) ? LIFE_LISTEN
                                                                             : LIFE_SOCKET;
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
static void decide(const struct retuner *retuner, const struct active *active,
                   const struct observed *observed, struct decision *decision)
{
    const struct scenario scenario = {.life = life_of(observed),
                                      .domain = observed->domain,
                                      .type = observed->type,
                                      .protocol = observed->protocol,
                                      .local = observed->local,
                                      .remote = observed->remote,
                                      .open = true};
    struct outcome outcome;

    for (uint32_t i = 0; i < retuner->policy->option_count; i++)
        decision->action[i] = NO_ACTION;
    simulate_effects(retuner->policy, active, &scenario, &outcome);
    for (uint32_t i = 0; i < outcome.effect_count; i++) {
        uint32_t action = outcome.effects[i].action;

        if (is_meant(retuner->policy, &outcome.effects[i], &observed->sockinfo))
            decision->action[retuner->policy->actions[action].option] = action;
    }
}

/* Does the option mean anything in the socket's role? */
static bool has_use(const struct option *row, const struct sockinfo *sockinfo)
{
    return !row || !(sockinfo->known & FACT_ROLE) || row->roles & sockinfo->roles;
}

/* The kernel compares the count of SYNs with TCP_SYNCNT at each of them (tcp_write_timeout()); all
 * else that is part of the handshake is in the first. */
static bool counts_at_each_syn(const struct option *row)
{
    return row != NULL && row->level == IPPROTO_TCP && row->optname == TCP_SYNCNT;
}

static const char *too_late(const struct policy *policy, const struct policy_action *action,
                            const struct option *row, const struct observed *observed)
{
    if (action->op == OP_TRANSPORT)
        return "too late: the protocol is chosen when a socket is made";
    if (action->op == OP_SOURCE)
        return "too late: the source address is chosen when a socket connects";
    if (action->op == OP_BACKLOG)
        return "too late: the program has called listen() already";
    if (observed->connecting && counts_at_each_syn(row))
        return NULL;
    if (sockinfo_is_connection(&observed->sockinfo) &&
        (policy->options[action->option].flags & OPTION_EARLY ||
         (row && row->when == WHEN_CONNECT)))
        return row && row->when == WHEN_BIND ? "too late: the connection is bound to its address"
                                             : "too late: the connection has begun its handshake";
    return NULL;
}

/* Options that are no option of the kernel: does the socket have it? */
static bool has_special(const struct policy_action *action, const struct value *wanted,
                        const struct observed *observed)
{
    int32_t protocol;

    if (action->op == OP_BACKLOG)
        return false;
    if (action->op == OP_SOURCE)
        return memcmp(observed->sockinfo.local.bytes, wanted->bytes,
                      sizeof observed->sockinfo.local.bytes) == 0;
    memcpy(&protocol, wanted->bytes, sizeof protocol);
    return observed->protocol == protocol;
}

/* --- setting ---------------------------------------------------------------------------------- */

/* Of one socket, for the engine's questions and answers. */
struct retuning {
    const struct retuner *retuner;
    const struct observed *observed;
    struct retuned_socket *result;
};

/* What getsockopt() should answer once the option is set. Empty if that depends on what it answers
 * now, and it does not. */
static struct value expected_value(const struct retuner *retuner,
                                   const struct retuned_option *result)
{
    const struct policy_action *action = &retuner->policy->actions[result->action];
    struct value expected = retuner->expected[result->action].value;

    if (action->op == OP_MERGE)
        expected.length = apply_value(retuner->policy, action, result->before.bytes,
                                      result->before.length, expected.bytes);
    return expected;
}

/* Whether an option that was decided is to be set. */
static bool wants_action(const struct application *application, const struct policy_action *action,
                         enum phase phase)
{
    const struct retuning *retuning = application->context;
    const struct retuner *retuner = retuning->retuner;
    const struct policy_option *option = &retuner->policy->options[action->option];
    const struct option *row = action_option(retuner->policy, action);
    bool special = policy_is_argument(action) || action->op == OP_SOURCE;
    struct retuned_option *result;

    if (!has_use(row, &retuning->observed->sockinfo))
        return false;
    result = &retuning->result->options[retuning->result->count++];
    *result = (struct retuned_option){.action = (uint32_t)(action - retuner->policy->actions)};
    if (!special)
        read_option(application->socket->fd, option->level, option->optname, row, &result->before,
                    &result->unset);
    result->after = expected_value(retuner, result);
    if (!result->after.length) {
        result->error = ENOPROTOOPT;
        result->result = RETUNED_FAILED;
    } else if (policy_is_bound(action) && apply_yields(application, action, phase)) {
        result->after = result->before;
        result->result = RETUNED_SAME;
    } else if (special ? has_special(action, &result->after, retuning->observed)
                       : !result->unset && same_bytes(&result->after, &result->before)) {
        result->result = RETUNED_SAME;
    } else if (!result->unset && apply_yields(application, action, phase)) {
        result->after = result->before;
        result->result = RETUNED_KEPT;
    } else if ((result->late = too_late(retuner->policy, action, row, retuning->observed))) {
        result->result = RETUNED_FAILED;
    } else if (retuner->dry_run) {
        result->result = result->before.length ? RETUNED_CHANGED : RETUNED_BLIND;
    } else {
        return true;
    }
    return false;
}

/* What the kernel has made of it. */
static void note_set(const struct application *application, const struct policy_action *action,
                     enum phase phase, enum applied applied, int error)
{
    const struct retuning *retuning = application->context;
    const struct policy *policy = application->policy;
    const struct policy_option *option = &policy->options[action->option];
    struct retuned_option *result = retuning->result->options;
    struct value expected;
    bool unset;

    (void)phase;
    while (&policy->actions[result->action] != action)
        result++;
    expected = result->after;
    if (applied == APPLIED_FAILED) {
        result->error = error;
        result->result = RETUNED_FAILED;
    } else if (!result->before.length ||
               !read_option(application->socket->fd, option->level, option->optname,
                            action_option(policy, action), &result->after, &unset)) {
        result->result = RETUNED_BLIND;
    } else if (!same_bytes(&result->before, &result->after) || result->unset != unset) {
        result->result = RETUNED_CHANGED;
    } else if (retuning->retuner->expected[result->action].foretold &&
               !same_bytes(&expected, &result->after)) {
        result->late = "the kernel took it, and kept its value";
        result->result = RETUNED_FAILED;
    } else {
        result->result = RETUNED_SAME;
    }
}

void retune(int fd, const struct observed *observed, const struct default_value *fresh,
            const struct retuner *retuner, const struct active *active,
            struct retuned_socket *result)
{
    struct retuning retuning = {retuner, observed, result};
    const struct application application = {.policy = retuner->policy,
                                            .sockinfo = &observed->sockinfo,
                                            .socket = KERNEL_SOCKET(fd),
                                            .phases = PHASE_ALL,
                                            .timing = APPLY_AFTERWARDS,
                                            .defaults = fresh,
                                            .one_kind = true,
                                            .wants = wants_action,
                                            .report = note_set,
                                            .context = &retuning};
    struct decision decision;

    result->count = 0;
    if (!observed->sockinfo.families)
        return;
    decide(retuner, active, observed, &decision);
    apply_actions(&application, &decision);
}

/* --- telling ---------------------------------------------------------------------------------- */

void retuned_reason(const struct policy *policy, const struct retuned_option *option, char *text,
                    size_t size)
{
    const struct policy_action *action = &policy->actions[option->action];
    const struct option *row = action_option(policy, action);
    char privilege[64] = "";

    if (row)
        privilege_name(row, privilege, sizeof privilege);
    if (option->late)
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
    else if (option->error == ENOENT && row && row->kind == KIND_STRING)
        snprintf(text, size, "this kernel does not have that one");
    else if (option->error == EINVAL && row && row->when == WHEN_BIND)
        snprintf(text, size, "too late: the socket is bound");
    else if (option->error == EINVAL)
        snprintf(text, size, "the kernel does not take this value on such a socket");
    else
        snprintf(text, size, "%s", strerror(option->error));
}
