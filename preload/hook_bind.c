/* SPDX-License-Identifier: MIT */
/*
 * bind(): what the kernel takes only before it, the rules on a datagram socket's own address, and
 * the report of such a socket.
 */
#include "real.h"
#include "report.h"
#include "tune.h"

#include <errno.h>

__attribute__((visibility("default"))) int bind(int fd, const struct sockaddr *address,
                                                socklen_t length)
{
    struct sockinfo sockinfo;
    if (tunes_at(PHASE_BIT(PHASE_BIND)) && tune_begin_at_bind(&sockinfo, fd, address, length)) {
        int failure = tune(fd, &sockinfo, PHASE_BIND);
        if (failure != 0) {
            errno = failure;
            return -1;
        }
    }
    int result = real.bind(fd, address, length);
    if (result == 0 && reports(ROLE_DATAGRAM))
        report_bound(fd, address, length);
    return result;
}
