/* SPDX-License-Identifier: MIT */
/*
 * Match and apply on the socket of a notified call. A signal may repeat a call and so its
 * notification: everything here may be done twice.
 */
#include "call_socket.h"
#include "bound.h"
#include "call_trace.h"
#include "fallback.h"
#include "learn.h"
#include "record.h"

#include <errno.h>
#include <netinet/in.h>

#define BIT(phase) PHASE_BIT(PHASE_##phase)

static void note_applied(const struct application *application, const struct policy_action *action,
                         enum phase phase, enum applied result, int error)
{
    struct traced_call *traced = application->context;
    struct target_reporter *reporter = traced->target->program->reporter;
    if (reporter != NULL)
        reporter_note(reporter, action->option,
                      result == APPLIED_KEPT ? RECORD_KEPT : (unsigned)error);
    if (call_trace_is_on())
        call_trace_action(application, action, phase, result, error);
    if (result == APPLIED_FAILED && traced->failure == 0 &&
        apply_is_required(application, action, phase))
        traced->failure = error;
}

/* What is given, by whom, and to which call it belongs. */
static struct application application_of(const struct call_context *call,
                                         const struct socket_handle *socket,
                                         struct sockinfo *sockinfo, struct traced_call *traced)
{
    *traced = (struct traced_call){call->context->policy, call->target, call->name, call->fd, 0};
    return (struct application){.policy = call->context->policy,
                                .sockinfo = sockinfo,
                                .socket = socket,
                                .report = note_applied,
                                .context = traced};
}

static void apply_to(const struct call_context *call, const struct application *application,
                     struct sockinfo *sockinfo)
{
    struct decision decision;
    learn_decision(application->policy, &call->target->program->active, application->socket,
                   sockinfo, (enum phase)__builtin_ctz(application->phases), application->phases,
                   &decision);
    apply_actions(application, &decision);
}

/* What socket() would have given. False if it is no socket that concerns us. */
static bool make_up_for_socket(const struct call_context *call, const struct socket_handle *socket)
{
    struct sockinfo sockinfo;
    struct traced_call traced;
    struct application application = application_of(call, socket, &sockinfo, &traced);
    application.phases = BIT(SOCKET);
    application.timing = APPLY_LATE;
    application.defaults = call->context->kernel_defaults;
    if (!sockinfo_at_socket(&sockinfo, socket_get_int(socket, SOL_SOCKET, SO_DOMAIN),
                            socket_get_int(socket, SOL_SOCKET, SO_TYPE),
                            socket_get_int(socket, SOL_SOCKET, SO_PROTOCOL)))
        return false;
    apply_to(call, &application, &sockinfo);
    return true;
}

int call_tune(const struct call_context *call, const struct socket_handle *socket,
              struct sockinfo *sockinfo, unsigned phases)
{
    const struct target_program *program = call->target->program;
    struct traced_call traced;
    struct application application = application_of(call, socket, sockinfo, &traced);
    application.phases = phases;
    application.defaults = program->defaults;
    if ((program->phases & BIT(SOCKET)) == 0 || make_up_for_socket(call, socket))
        apply_to(call, &application, sockinfo);
    return traced.failure;
}

int call_backlog(const struct call_context *call, const struct socket_handle *socket,
                 struct sockinfo *sockinfo, int backlog)
{
    const struct policy_action *action;
    struct traced_call traced;
    struct application application = application_of(call, socket, sockinfo, &traced);
    struct decision decision;
    int wanted;
    learn_decision(application.policy, &call->target->program->active, socket, sockinfo,
                   PHASE_LISTEN, BIT(LISTEN), &decision);
    wanted = apply_backlog(application.policy, &decision, sockinfo, backlog, &action);
    if (action != NULL)
        note_applied(&application, action, PHASE_LISTEN,
                     policy_is_bound(action) && wanted == backlog ? APPLIED_KEPT : APPLIED_SET, 0);
    return wanted;
}

/* Accepted sockets */

bool call_is_accepted(const struct socket_handle *socket)
{
    struct sockinfo sockinfo;
    return learn_history(socket, &sockinfo) && (sockinfo.known & FACT_ROLE) != 0 &&
           sockinfo.roles == ROLE_ACCEPT;
}

void call_tune_accepted(const struct call_context *call, const struct socket_handle *socket,
                        struct sockinfo *sockinfo)
{
    struct traced_call traced;
    struct application application = application_of(call, socket, sockinfo, &traced);
    application.phases = CALL_ACCEPT_PHASES;
    application.defaults = call->target->program->defaults;
    apply_to(call, &application, sockinfo);
}

/* An accepted socket of plain TCP, and what its listener was given. The call comes first. */
struct fallen_back {
    struct traced_call traced;
    struct decision of_listener;
};

/* Has the socket what its listener was given by this option? */
static bool is_from_listener(const struct application *application, uint32_t option)
{
    const struct fallen_back *fallen = application->context;
    const struct policy *policy = application->policy;
    uint32_t action = fallen->of_listener.action[option];
    struct default_value now;
    return action != NO_ACTION &&
           defaults_note_one(application->socket, &policy->options[option], &now) &&
           apply_has_value(policy, &policy->actions[action], &now);
}

/* The program may have set the option of this socket before, by a call that nobody was asked about.
 * Then the value is neither that of a new socket nor what the listener was given. */
static bool wants_fallen_back(const struct application *application,
                              const struct policy_action *action, enum phase phase)
{
    if (policy_is_argument(action))
        return false;
    if (!apply_yields(application, action, phase) || is_from_listener(application, action->option))
        return true;
    note_applied(application, action, phase, APPLIED_KEPT, 0);
    return false;
}

void call_tune_fallen_back(const struct call_context *call, const struct socket_handle *socket)
{
    const struct target_program *program = call->target->program;
    struct sockinfo sockinfo;
    struct fallen_back fallen;
    struct decision decision;
    struct application application = application_of(call, socket, &sockinfo, &fallen.traced);
    application.context = &fallen;
    application.phases = FALLBACK_PHASES;
    application.timing = APPLY_LATE;
    application.defaults = call->context->kernel_defaults;
    application.wants = wants_fallen_back;
    fallback_decide_listener(application.policy, &program->active, socket, &fallen.of_listener);
    fallback_decide(application.policy, &program->active, socket,
                    program->phases & CALL_ACCEPT_PHASES, &sockinfo, &decision);
    apply_actions(&application, &decision);
}

/* The program's own setsockopt() */

/* What the rules say about one option of the socket. */
struct option_ruling {
    uint32_t option;
    struct sockinfo sockinfo;
    struct guard guard;
};

static bool find_ruling(const struct call_context *call, const struct socket_handle *socket,
                        const struct call_setting *setting, enum sibling_effect effect,
                        struct option_ruling *ruling)
{
    const struct policy *policy = call->context->policy;
    for (ruling->option = 0; ruling->option < policy->option_count; ruling->option++)
        if (policy_option_is_set_by(policy, ruling->option, setting->level, setting->optname,
                                    effect) &&
            learn_guard(policy, &call->target->program->active, socket, ruling->option,
                        &ruling->sockinfo, &ruling->guard))
            return true;
    return false;
}

/* Make the program's own call on the duplicate. */
static bool set_own(const struct socket_handle *socket, const struct call_setting *setting)
{
    return socket->ops->set(socket, setting->level, setting->optname, setting->value,
                            setting->length) == 0;
}

static bool force_option(const struct call_context *call, const struct socket_handle *socket,
                         struct option_ruling *ruling)
{
    const struct policy_action *action = &call->context->policy->actions[ruling->guard.held];
    struct traced_call traced;
    const struct application application = application_of(call, socket, &ruling->sockinfo, &traced);
    return apply_now(&application, action);
}

/* Does the value keep within the bound that holds, if it is one? */
static bool is_admitted(const struct policy *policy, const struct call_setting *setting,
                        const struct option_ruling *ruling)
{
    const struct policy_action *action;
    if (ruling->guard.held == NO_ACTION || ruling->guard.ignored)
        return false;
    action = &policy->actions[ruling->guard.held];
    return policy_is_bound(action) &&
           bound_admits_own(policy, action, setting->value, setting->length);
}

/* As preload/guarded.c does it. */
static bool set_guarded(const struct call_context *call, const struct socket_handle *socket,
                        const struct call_setting *setting, struct option_ruling *ruling)
{
    const struct policy *policy = call->context->policy;
    struct traced_call traced = {policy, call->target, call->name, call->fd, 0};
    if (setting->length < policy->options[ruling->option].least ||
        is_admitted(policy, setting, ruling))
        return false;
    if (ruling->guard.held != NO_ACTION) {
        bool merged = policy->actions[ruling->guard.held].op == OP_MERGE;
        if (merged && !set_own(socket, setting))
            return false;
        if (!force_option(call, socket, ruling) && !merged)
            return false;
    }
    if (call_trace_is_on())
        call_trace_swallowed(&traced, &ruling->sockinfo, ruling->option, ruling->guard.held);
    return true;
}

/* The program's own call is made here, since the guarded option has to get its value back. */
static bool set_disturbing(const struct call_context *call, const struct socket_handle *socket,
                           const struct call_setting *setting, struct option_ruling *disturbed)
{
    const struct policy_option *option = &call->context->policy->options[disturbed->option];
    int before = socket_get_int(socket, option->level, option->optname);
    struct option_ruling own;
    bool made = find_ruling(call, socket, setting, SIBLING_SAME, &own)
                    ? set_guarded(call, socket, setting, &own)
                    : set_own(socket, setting);
    if (!made)
        return false;
    if (disturbed->guard.held != NO_ACTION)
        force_option(call, socket, disturbed);
    else if (before >= 0)
        socket->ops->set(socket, option->level, option->optname, &before, sizeof before);
    return true;
}

bool call_set_option(const struct call_context *call, const struct socket_handle *socket,
                     const struct call_setting *setting)
{
    struct option_ruling ruling;
    if (find_ruling(call, socket, setting, SIBLING_DISTURBS, &ruling))
        return set_disturbing(call, socket, setting, &ruling);
    return find_ruling(call, socket, setting, SIBLING_SAME, &ruling) &&
           set_guarded(call, socket, setting, &ruling);
}
