/* SPDX-License-Identifier: MIT */
/*
 * Match and apply on the socket of a notified call. A signal may repeat a call and so its
 * notification: everything here may be done twice.
 */
#include "call_socket.h"
#include "call_trace.h"
#include "learn.h"
#include "record.h"

#include <errno.h>
#include <netinet/in.h>

#define BIT(phase) PHASE_BIT(PHASE_##phase)

static void note_applied(const struct application *application, const struct policy_action *action,
                         enum phase phase, enum applied result, int error)
{
    const struct traced_call *traced = application->context;
    struct target_reporter *reporter = traced->target->program->reporter;
    if (reporter != NULL)
        reporter_note(reporter, action->option,
                      result == APPLIED_KEPT ? RECORD_KEPT : (unsigned)error);
    if (call_trace_is_on())
        call_trace_action(application, action, phase, result, error);
}

/* What is given, by whom, and to which call it belongs. */
static struct application application_of(const struct call_context *call,
                                         const struct socket_handle *socket,
                                         struct sockinfo *sockinfo, struct traced_call *traced)
{
    *traced = (struct traced_call){call->context->policy, call->target, call->name, call->fd};
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

void call_tune(const struct call_context *call, const struct socket_handle *socket,
               struct sockinfo *sockinfo, unsigned phases)
{
    const struct target_program *program = call->target->program;
    struct traced_call traced;
    struct application application = application_of(call, socket, sockinfo, &traced);
    application.phases = phases;
    application.defaults = program->defaults;
    if ((program->phases & BIT(SOCKET)) == 0 || make_up_for_socket(call, socket))
        apply_to(call, &application, sockinfo);
}

/* --- accepted sockets ------------------------------------------------------------------------- */

bool call_is_accepted(const struct socket_handle *socket)
{
    struct sockinfo sockinfo;
    return learn_history(socket, &sockinfo) && (sockinfo.known & FACT_ROLE) != 0 &&
           sockinfo.roles == ROLE_ACCEPT;
}

void call_tune_accepted(const struct call_context *call, const struct socket_handle *socket)
{
    struct sockinfo sockinfo;
    struct traced_call traced;
    struct application application = application_of(call, socket, &sockinfo, &traced);
    application.phases = CALL_ACCEPT_PHASES;
    application.defaults = call->target->program->defaults;
    sockinfo_at_accept(&sockinfo);
    apply_to(call, &application, &sockinfo);
}

/* --- the program's own setsockopt() ----------------------------------------------------------- */

/* One forced option. */
struct forcing {
    struct traced_call traced; /* first: note_applied() takes it from the same pointer */
    uint32_t option;
    bool failed;
};

static bool wants_forced(const struct application *application, const struct policy_action *action,
                         enum phase phase)
{
    const struct forcing *forcing = application->context;
    (void)phase;
    return action->option == forcing->option && action->mode == MODE_FORCE;
}

static void note_forced(const struct application *application, const struct policy_action *action,
                        enum phase phase, enum applied result, int error)
{
    struct forcing *forcing = application->context;
    forcing->failed = result == APPLIED_FAILED;
    note_applied(application, action, phase, result, error);
}

/* Give a forced option its value. False if the kernel refuses it. */
static bool force_option(const struct call_context *call, const struct socket_handle *socket,
                         struct sockinfo *sockinfo, uint32_t option)
{
    const struct policy *policy = call->context->policy;
    struct forcing forcing = {.option = option};
    struct application application = application_of(call, socket, sockinfo, &forcing.traced);
    struct decision decision;
    application.phases = PHASE_ALL;
    application.wants = wants_forced;
    application.report = note_forced;
    application.context = &forcing;
    learn_decision(policy, &call->target->program->active, socket, sockinfo, PHASE_CONNECT,
                   PHASE_ALL, &decision);
    /* A buffer that is set on a connection can clamp its window for good. */
    if (sockinfo_is_connection(sockinfo))
        apply_drop_early(policy, &decision);
    apply_actions(&application, &decision);
    return !forcing.failed;
}

bool call_guard(const struct call_context *call, const struct socket_handle *socket,
                uint32_t option)
{
    const struct policy *policy = call->context->policy;
    struct traced_call traced = {policy, call->target, call->name, call->fd};
    struct sockinfo sockinfo;
    if (!learn_guard(policy, &call->target->program->active, socket, option, &sockinfo) ||
        !force_option(call, socket, &sockinfo, option))
        return false;
    if (call_trace_is_on())
        call_trace_swallowed(&traced, &sockinfo, option);
    return true;
}
