/* SPDX-License-Identifier: MIT */
/*
 * bind(): options that the kernel takes only before bind(), rules on a datagram socket's own
 * address, and the report of such a socket.
 */
#include "real.h"
#include "report.h"
#include "tune.h"

#include <errno.h>

static int bind_by_rules(const struct rules_in_force *rules, int fd, const struct sockaddr *address,
                         socklen_t length)
{
    struct sockinfo sockinfo;
    int failure = 0;
    if (rules_act_at(rules, PHASE_BIT(PHASE_BIND)) &&
        tune_begin_at_bind(&sockinfo, fd, address, length))
        failure = tune(rules, fd, &sockinfo, PHASE_BIND);
    if (failure != 0) {
        errno = failure;
        return -1;
    }
    int result = real.bind(fd, address, length);
    if (result == 0 && (rules->reports & ROLE_DATAGRAM) != 0)
        report_bound(rules, fd, address, length);
    return result;
}

/* noinline: other calls pass through with a small frame. */
static __attribute__((noinline)) int bind_tuned(int fd, const struct sockaddr *address,
                                                socklen_t length)
{
    const struct rules_in_force *rules = rules_enter();
    int result = bind_by_rules(rules, fd, address, length);
    rules_leave(rules);
    return result;
}

__attribute__((visibility("default"))) int bind(int fd, const struct sockaddr *address,
                                                socklen_t length)
{
    if (tunes_at(PHASE_BIT(PHASE_BIND)) || reports(ROLE_DATAGRAM))
        return bind_tuned(fd, address, length);
    return real.bind(fd, address, length);
}
