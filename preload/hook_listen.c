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
    struct subject subject;
    subject_at_listen(&subject);
    if (tunes_at(MOMENT_BIT(MOMENT_LISTEN)))
        tune(fd, &subject, MOMENT_LISTEN);
    int result = real.listen(fd, backlog);
    if (result == 0 && tunes_at(MOMENT_BIT(MOMENT_LISTENING)))
        tune(fd, &subject, MOMENT_LISTENING);
    if (result == 0 && reports(ROLE_LISTEN))
        report_listen(fd);
    return result;
}
