/* SPDX-License-Identifier: MIT */
/*
 * The engine (apply.h), with what the constructor decided, and with tracing and reporting.
 */
#include "tune.h"

#include "apply.h"
#include "learn.h"
#include "readable.h"
#include "reconnect.h"
#include "record.h"
#include "report.h"
#include "take_defaults.h"
#include "trace.h"

#include <errno.h>

struct state state;

/* The kernel refuses a longer address unread (net/socket.c). */
bool tune_begin_at_bind(struct sockinfo *sockinfo, int fd, const struct sockaddr *address,
                        socklen_t length)
{
    return length <= sizeof(struct sockaddr_storage) && readable_memory(fd, address, length) &&
           sockinfo_at_address(sockinfo, PHASE_BIND, address, length);
}

bool tune_begin_at_connect(struct sockinfo *sockinfo, int fd, const struct sockaddr *address,
                           socklen_t length, bool ask)
{
    bool is_tcp;
    if (length > sizeof(struct sockaddr_storage) ||
        !readable_at_connect(fd, address, length, ask, &is_tcp) ||
        !sockinfo_at_address(sockinfo, PHASE_CONNECT, address, length))
        return false;
    if (is_tcp && (sockinfo->families & FAMILY_IP) != 0) {
        sockinfo_narrow_type(sockinfo, PHASE_CONNECT, SOCK_STREAM);
        sockinfo->protocols &= PROTOCOL_TCP;
    }
    return true;
}

void tune_decide(int fd, struct sockinfo *sockinfo, enum phase phase, unsigned phases,
                 struct decision *decision)
{
    learn_decision(&state.policy, &state.active, OWN_SOCKET(fd), sockinfo, phase, phases, decision);
}

/* The result of an action; the context is the errno with which the program's call is to fail. */
static void note_applied(const struct application *application, const struct policy_action *action,
                         enum phase phase, enum applied result, int error)
{
    report_option(action->option, result == APPLIED_KEPT ? RECORD_KEPT : (unsigned)error);
    trace_action(application->socket->fd, application->sockinfo, phase, action, result, error);
    int *failure = application->context;
    if (result == APPLIED_FAILED && *failure == 0 && apply_is_required(application, action, phase))
        *failure = error;
}

static struct application application_of(const struct socket_handle *socket,
                                         const struct sockinfo *sockinfo, unsigned phases,
                                         int *failure)
{
    return (struct application){.policy = &state.policy,
                                .active = &state.active,
                                .sockinfo = sockinfo,
                                .socket = socket,
                                .phases = phases,
                                .defaults = state.defaults,
                                .fresh_value = defaults_fresh_value,
                                .report = note_applied,
                                .context = failure};
}

int tune_apply(int fd, const struct sockinfo *sockinfo, const struct decision *decision,
               unsigned phases)
{
    int failure = 0;
    const struct application application =
        application_of(OWN_SOCKET(fd), sockinfo, phases, &failure);
    apply_actions(&application, decision);
    return failure;
}

int tune_backlog(int fd, const struct sockinfo *sockinfo, const struct decision *decision,
                 int backlog)
{
    int failure = 0;
    const struct application application =
        application_of(OWN_SOCKET(fd), sockinfo, PHASE_BIT(PHASE_LISTEN), &failure);
    const struct policy_action *action;
    int wanted = apply_backlog(&state.policy, decision, sockinfo, backlog, &action);
    if (action != NULL)
        note_applied(&application, action, PHASE_LISTEN,
                     policy_is_bound(action) && wanted == backlog ? APPLIED_KEPT : APPLIED_SET, 0);
    return wanted;
}

void tune_apply_afterwards(int fd, const struct sockinfo *sockinfo, const struct decision *decision,
                           unsigned phases)
{
    static const struct active none = {NULL, 0};
    int failure = 0;
    struct application application = application_of(OWN_SOCKET(fd), sockinfo, phases, &failure);
    application.timing = APPLY_AFTERWARDS;
    application.defaults = NULL; /* those are with what the rules give at socket() */
    application.active = &none;
    apply_actions(&application, decision);
}

void tune_undo(int fd, const struct sockinfo *sockinfo, const struct decision *decision)
{
    int failure = 0;
    const struct application application = application_of(OWN_SOCKET(fd), sockinfo, 0, &failure);
    const struct undo_notes notes = reconnect_notes(fd);
    undo_former_peer(&application, decision, &notes);
}

bool tune_force(int fd, const struct sockinfo *sockinfo, const struct policy_action *action)
{
    int failure = 0;
    const struct application application = application_of(OWN_SOCKET(fd), sockinfo, 0, &failure);
    return apply_now(&application, action);
}

int tune(int fd, struct sockinfo *sockinfo, enum phase phase)
{
    int saved = errno;
    struct decision decision;
    tune_decide(fd, sockinfo, phase, PHASE_BIT(phase), &decision);
    int failure = tune_apply(fd, sockinfo, &decision, PHASE_BIT(phase));
    errno = saved;
    return failure;
}
