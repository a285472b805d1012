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

void tune_decide(int fd, struct subject *subject, enum moment moment, unsigned moments,
                 struct decision *decision)
{
    learn_decision(&state.policy, &state.active, fd, subject, moment, moments, decision);
}

static void note_applied(const struct application *application, const struct policy_action *action,
                         enum moment moment, enum applied result, int error)
{
    report_option(action->option, result == APPLIED_KEPT ? RECORD_KEPT : (unsigned)error);
    if (result == APPLIED_KEPT)
        trace_kept(application->fd, application->subject, moment, action);
    else
        trace_action(application->fd, application->subject, moment, action, error);
}

void tune_apply(int fd, const struct subject *subject, const struct decision *decision,
                unsigned moments)
{
    const struct application application = {.policy = &state.policy,
                                            .subject = subject,
                                            .fd = fd,
                                            .moments = moments,
                                            .baselines = state.baselines,
                                            .tell = note_applied};
    apply(&application, decision);
}

const struct policy_action *tune_transport(const struct decision *decision,
                                           const struct subject *subject)
{
    for (uint32_t i = 0; i < state.policy.option_count; i++) {
        if (state.policy.options[i].level != LEVEL_SOCKTUNE || decision->action[i] == NO_ACTION)
            continue;
        const struct policy_action *action = &state.policy.actions[decision->action[i]];
        if (action->op == OP_TRANSPORT && action_applies(action, subject, MOMENT_SOCKET))
            return action;
    }
    return NULL;
}

void tune(int fd, struct subject *subject, enum moment moment)
{
    int saved = errno;
    struct decision decision;
    tune_decide(fd, subject, moment, MOMENT_BIT(moment), &decision);
    tune_apply(fd, subject, &decision, MOMENT_BIT(moment));
    errno = saved;
}
