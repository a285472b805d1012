/* SPDX-License-Identifier: MIT */
/*
 * listen(): what listeners get, and what the sockets they accept inherit. Must come before the
 * call, since a connection that is made meanwhile inherits nothing set later.
 */
#include "real.h"
#include "report.h"
#include "tune.h"

#include <errno.h>

/* What comes before the call; returns the backlog for it. Not in line, so that other calls pass
 * through with a small frame. */
static __attribute__((noinline)) int prepare(int fd, struct sockinfo *sockinfo, int backlog)
{
    int saved = errno;
    struct decision decision;
    tune_decide(fd, sockinfo, PHASE_LISTEN, PHASE_BIT(PHASE_LISTEN), &decision);
    tune_apply(fd, sockinfo, &decision, PHASE_BIT(PHASE_LISTEN));
    backlog = tune_backlog(fd, sockinfo, &decision, backlog);
    errno = saved;
    return backlog;
}

__attribute__((visibility("default"))) int listen(int fd, int backlog)
{
    struct sockinfo sockinfo;
    sockinfo_at_listen(&sockinfo);
    if (tunes_at(PHASE_BIT(PHASE_LISTEN)))
        backlog = prepare(fd, &sockinfo, backlog);
    int result = real.listen(fd, backlog);
    if (result == 0 && tunes_at(PHASE_BIT(PHASE_LISTENING)))
        tune(fd, &sockinfo, PHASE_LISTENING);
    if (result == 0 && reports(ROLE_LISTEN))
        report_listen(fd);
    return result;
}
