/* SPDX-License-Identifier: MIT */
/*
 * listen(): what listeners get, and what the sockets they accept inherit. Must come before the
 * call, since a connection that is made meanwhile inherits nothing set later.
 */
#include "multipath.h"
#include "real.h"
#include "report.h"
#include "tune.h"

#include <errno.h>

static void give(int fd, struct sockinfo *sockinfo, int *backlog, int *failure)
{
    struct decision decision;
    tune_decide(fd, sockinfo, PHASE_LISTEN, PHASE_BIT(PHASE_LISTEN), &decision);
    *failure = tune_apply(fd, sockinfo, &decision, PHASE_BIT(PHASE_LISTEN));
    *backlog = tune_backlog(fd, sockinfo, &decision, *backlog);
}

/* What comes before the call, with the backlog for it. Returns 0, or the errno with which it must
 * fail. Not in line, so that other calls pass through with a small frame. */
static __attribute__((noinline)) int prepare(int fd, struct sockinfo *sockinfo, int *backlog)
{
    int saved = errno, failure = 0;
    if (tunes_at(PHASE_BIT(PHASE_LISTEN)))
        give(fd, sockinfo, backlog, &failure);
    if (tunes_at(PHASE_FALLBACK))
        multipath_note_listener(fd, sockinfo->protocols);
    errno = saved;
    return failure;
}

__attribute__((visibility("default"))) int listen(int fd, int backlog)
{
    struct sockinfo sockinfo;
    int failure = 0;
    sockinfo_at_listen(&sockinfo);
    if (tunes_at(PHASE_BIT(PHASE_LISTEN) | PHASE_FALLBACK))
        failure = prepare(fd, &sockinfo, &backlog);
    if (failure != 0) {
        errno = failure;
        return -1;
    }
    int result = real.listen(fd, backlog);
    if (result == 0 && tunes_at(PHASE_BIT(PHASE_LISTENING)))
        tune(fd, &sockinfo, PHASE_LISTENING);
    if (result == 0 && reports(ROLE_LISTEN | ROLE_ACCEPT))
        report_listen(fd);
    return result;
}
