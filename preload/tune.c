/* SPDX-License-Identifier: MIT */
/*
 * The engine (apply.h), with the decisions of the constructor, and with tracing and reporting.
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

/* The kernel refuses a longer address without reading it (net/socket.c). */
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

void tune_decide(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                 enum phase phase, unsigned phases, struct decision *decision)
{
    learn_decision(&rules->policy, &rules->active, OWN_SOCKET(fd), sockinfo, phase, phases,
                   decision);
}

/* The context of an application, and its result. */
struct tuning {
    const struct rules_in_force *rules;
    int failure; /* errno with which the program's call must fail, or 0 */
};

static void note_applied(const struct application *application, const struct policy_action *action,
                         enum phase phase, enum applied result, int error)
{
    struct tuning *outcome = application->context;
    report_option(outcome->rules, action->option,
                  result == APPLIED_KEPT ? RECORD_KEPT : (unsigned)error);
    trace_action(outcome->rules, application, phase, action, result, error);
    if (result == APPLIED_FAILED && outcome->failure == 0 &&
        apply_is_required(application, action, phase))
        outcome->failure = error;
}

static struct application application_of(const struct socket_handle *socket,
                                         const struct sockinfo *sockinfo, unsigned phases,
                                         struct tuning *outcome)
{
    return (struct application){.policy = &outcome->rules->policy,
                                .active = &outcome->rules->active,
                                .sockinfo = sockinfo,
                                .socket = socket,
                                .phases = phases,
                                .defaults = outcome->rules->defaults,
                                .fresh_value = defaults_fresh_value,
                                .report = note_applied,
                                .context = outcome};
}

int tune_apply(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
               const struct decision *decision, unsigned phases)
{
    struct tuning outcome = {rules, 0};
    const struct application application =
        application_of(OWN_SOCKET(fd), sockinfo, phases, &outcome);
    apply_actions(&application, decision);
    return outcome.failure;
}

int tune_backlog(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                 const struct decision *decision, int backlog)
{
    struct tuning outcome = {rules, 0};
    const struct application application =
        application_of(OWN_SOCKET(fd), sockinfo, PHASE_BIT(PHASE_LISTEN), &outcome);
    const struct policy_action *action;
    int wanted = apply_backlog(&rules->policy, decision, sockinfo, backlog, &action);
    if (action != NULL)
        note_applied(&application, action, PHASE_LISTEN,
                     policy_is_bound(action) && wanted == backlog ? APPLIED_KEPT : APPLIED_SET, 0);
    return wanted;
}

void tune_apply_afterwards(const struct rules_in_force *rules, int fd,
                           const struct sockinfo *sockinfo, const struct decision *decision,
                           unsigned phases)
{
    static const struct active none = {NULL, 0};
    struct tuning outcome = {rules, 0};
    struct application application = application_of(OWN_SOCKET(fd), sockinfo, phases, &outcome);
    application.timing = APPLY_AFTERWARDS;
    application.defaults = NULL; /* those include what the rules set at socket() */
    application.active = &none;
    apply_actions(&application, decision);
}

void tune_undo(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
               const struct decision *decision)
{
    struct tuning outcome = {rules, 0};
    const struct application application = application_of(OWN_SOCKET(fd), sockinfo, 0, &outcome);
    const struct undo_notes notes = reconnect_notes(fd);
    undo_former_peer(&application, decision, &notes);
}

bool tune_force(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                const struct policy_action *action)
{
    struct tuning outcome = {rules, 0};
    const struct application application = application_of(OWN_SOCKET(fd), sockinfo, 0, &outcome);
    return apply_now(&application, action);
}

int tune(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo, enum phase phase)
{
    int saved = errno;
    struct decision decision;
    tune_decide(rules, fd, sockinfo, phase, PHASE_BIT(phase), &decision);
    int failure = tune_apply(rules, fd, sockinfo, &decision, PHASE_BIT(phase));
    errno = saved;
    return failure;
}
