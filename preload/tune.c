/* SPDX-License-Identifier: MIT */
/*
 * The engine (apply.h), with what the constructor decided, and with tracing and reporting.
 */
#include "tune.h"

#include "apply.h"
#include "learn.h"
#include "record.h"
#include "report.h"
#include "trace.h"

#include <errno.h>

struct state state;

void tune_decide(int fd, struct sockinfo *sockinfo, enum phase phase, unsigned phases,
                 struct decision *decision)
{
    learn_decision(&state.policy, &state.active, fd, sockinfo, phase, phases, decision);
}

static void note_applied(const struct application *application, const struct policy_action *action,
                         enum phase phase, enum applied result, int error)
{
    report_option(action->option, result == APPLIED_KEPT ? RECORD_KEPT : (unsigned)error);
    trace_action(application->fd, application->sockinfo, phase, action, result, error);
}

void tune_apply(int fd, const struct sockinfo *sockinfo, const struct decision *decision,
                unsigned phases)
{
    const struct application application = {.policy = &state.policy,
                                            .sockinfo = sockinfo,
                                            .fd = fd,
                                            .phases = phases,
                                            .defaults = state.defaults,
                                            .tell = note_applied};
    apply(&application, decision);
}

const struct policy_action *tune_transport(const struct decision *decision,
                                           const struct sockinfo *sockinfo)
{
    for (uint32_t i = 0; i < state.policy.option_count; i++) {
        if (state.policy.options[i].level != LEVEL_SOCKTUNE || decision->action[i] == NO_ACTION)
            continue;
        const struct policy_action *action = &state.policy.actions[decision->action[i]];
        if (action->op == OP_TRANSPORT && action_applies(action, sockinfo, PHASE_SOCKET))
            return action;
    }
    return NULL;
}

void tune(int fd, struct sockinfo *sockinfo, enum phase phase)
{
    int saved = errno;
    struct decision decision;
    tune_decide(fd, sockinfo, phase, PHASE_BIT(phase), &decision);
    tune_apply(fd, sockinfo, &decision, PHASE_BIT(phase));
    errno = saved;
}
