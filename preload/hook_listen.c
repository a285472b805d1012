/* SPDX-License-Identifier: MIT */
/*
 * listen(): options of listeners, and options that accepted sockets inherit. They are set before
 * the call, since a connection that is established between both would not inherit them.
 */
#include "listeners.h"
#include "multipath.h"
#include "real.h"
#include "report.h"
#include "tune.h"

#include <errno.h>

static void tune_before_listen(const struct rules_in_force *rules, int fd,
                               struct sockinfo *sockinfo, int *backlog, int *failure)
{
    struct decision decision;
    tune_decide(rules, fd, sockinfo, PHASE_LISTEN, PHASE_BIT(PHASE_LISTEN), &decision);
    *failure = tune_apply(rules, fd, sockinfo, &decision, PHASE_BIT(PHASE_LISTEN));
    *backlog = tune_backlog(rules, fd, sockinfo, &decision, *backlog);
}

/* Does what comes before the call, and changes the backlog. Returns 0, or the errno with which the
 * call must fail. Notes a listener of MPTCP also for rules that may come later. */
static int prepare_listener(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                            int *backlog)
{
    int saved = errno, failure = 0;
    if (rules_act_at(rules, PHASE_BIT(PHASE_LISTEN)))
        tune_before_listen(rules, fd, sockinfo, backlog, &failure);
    if (tunes_at(PHASE_FALLBACK))
        multipath_note_listener(fd, sockinfo->protocols);
    errno = saved;
    return failure;
}

static int listen_by_rules(const struct rules_in_force *rules, int fd, int backlog)
{
    struct sockinfo sockinfo;
    sockinfo_at_listen(&sockinfo);
    int failure = prepare_listener(rules, fd, &sockinfo, &backlog);
    if (failure != 0) {
        errno = failure;
        return -1;
    }
    int result = real.listen(fd, backlog);
    if (result != 0)
        return result;
    listener_note(fd, rules);
    if (rules_act_at(rules, PHASE_BIT(PHASE_LISTENING)))
        tune(rules, fd, &sockinfo, PHASE_LISTENING);
    if ((rules->reports & (ROLE_LISTEN | ROLE_ACCEPT)) != 0)
        report_listen(rules, fd);
    return result;
}

/* noinline: other calls pass through with a small frame. */
static __attribute__((noinline)) int listen_tuned(int fd, int backlog)
{
    const struct rules_in_force *rules = rules_enter();
    int result = listen_by_rules(rules, fd, backlog);
    rules_leave(rules);
    return result;
}

__attribute__((visibility("default"))) int listen(int fd, int backlog)
{
    if (tunes_at(PHASE_BIT(PHASE_LISTEN) | PHASE_BIT(PHASE_LISTENING) | PHASE_FALLBACK) ||
        reports(ROLE_LISTEN | ROLE_ACCEPT))
        return listen_tuned(fd, backlog);
    return real.listen(fd, backlog);
}
