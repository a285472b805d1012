/* SPDX-License-Identifier: MIT */
/*
 * listen(): what listeners get, and what the sockets they accept inherit. Must come before the
 * call, since a connection that is made meanwhile inherits nothing set later.
 */
#include "real.h"
#include "report.h"
#include "tune.h"

__attribute__((visibility("default"))) int listen(int fd, int backlog)
{
    struct sockinfo sockinfo;
    sockinfo_at_listen(&sockinfo);
    if (tunes_at(PHASE_BIT(PHASE_LISTEN)))
        tune(fd, &sockinfo, PHASE_LISTEN);
    int result = real.listen(fd, backlog);
    if (result == 0 && tunes_at(PHASE_BIT(PHASE_LISTENING)))
        tune(fd, &sockinfo, PHASE_LISTENING);
    if (result == 0 && reports(ROLE_LISTEN))
        report_listen(fd);
    return result;
}
