/* SPDX-License-Identifier: MIT */
/*
 * connect(): the rules on the remote address and on connecting sockets, before the call; `source`;
 * what the kernel forgets when it is set before the connection exists; and the report of it.
 */
#include "real.h"
#include "report.h"
#include "tune.h"

#include <errno.h>

static void tune_before(int fd, struct sockinfo *sockinfo, unsigned phases,
                        struct decision *decision)
{
    int saved = errno;
    tune_decide(fd, sockinfo, PHASE_CONNECT, phases, decision);
    tune_apply(fd, sockinfo, decision, PHASE_BIT(PHASE_CONNECT));
    errno = saved;
}

static void tune_after(int fd, const struct sockinfo *sockinfo, const struct decision *decision)
{
    int saved = errno;
    tune_apply(fd, sockinfo, decision, PHASE_BIT(PHASE_CONNECTED));
    errno = saved;
}

/* Not in line, so that other connections pass through with a small frame. */
static __attribute__((noinline)) int connect_tuned(int fd, const struct sockaddr *address,
                                                   socklen_t length)
{
    struct sockinfo sockinfo;
    struct decision decision;
    unsigned phases = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED);
    if (!sockinfo_at_address(&sockinfo, PHASE_CONNECT, address, length))
        return real.connect(fd, address, length);
    bool reported = reports(ROLE_CONNECT) && (sockinfo.families & FAMILY_IP) != 0;
    /* A report tells what it has from earlier calls, too. */
    if (reported)
        phases |= PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_BIND);
    tune_before(fd, &sockinfo, phases, &decision);
    int result = real.connect(fd, address, length);
    if (tunes_at(PHASE_BIT(PHASE_CONNECTED)) && (result == 0 || errno == EINPROGRESS))
        tune_after(fd, &sockinfo, &decision);
    /* An interrupted connect() goes on without the caller. */
    if (reported && (result == 0 || errno == EINPROGRESS || errno == EINTR))
        report_connect(fd, &sockinfo, &decision);
    return result;
}

__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *address,
                                                   socklen_t length)
{
    if (tunes_at(PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED)) || reports(ROLE_CONNECT))
        return connect_tuned(fd, address, length);
    return real.connect(fd, address, length);
}
