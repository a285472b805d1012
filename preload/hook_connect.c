/* SPDX-License-Identifier: MIT */
/*
 * connect(): the rules on the remote address and on connecting sockets, before the call; `source`;
 * what the kernel forgets when it is set before the connection exists; and the report of it.
 */
#include "real.h"
#include "report.h"
#include "tune.h"

#include <errno.h>

static void tune_before(int fd, struct subject *subject, unsigned moments,
                        struct decision *decision)
{
    int saved = errno;
    tune_decide(fd, subject, MOMENT_CONNECT, moments, decision);
    tune_apply(fd, subject, decision, MOMENT_BIT(MOMENT_CONNECT));
    errno = saved;
}

static void tune_after(int fd, const struct subject *subject, const struct decision *decision)
{
    int saved = errno;
    tune_apply(fd, subject, decision, MOMENT_BIT(MOMENT_CONNECTED));
    errno = saved;
}

/* Not in line, so that other connections pass through with a small frame. */
static __attribute__((noinline)) int connect_tuned(int fd, const struct sockaddr *address,
                                                   socklen_t length)
{
    struct subject subject;
    struct decision decision;
    unsigned moments = MOMENT_BIT(MOMENT_CONNECT) | MOMENT_BIT(MOMENT_CONNECTED);
    if (!subject_at_address(&subject, MOMENT_CONNECT, address, length))
        return real.connect(fd, address, length);
    bool reported = reports(ROLE_CONNECT) && (subject.families & FAMILY_IP) != 0;
    /* A report tells what it has from earlier calls, too. */
    if (reported)
        moments |= MOMENT_BIT(MOMENT_SOCKET) | MOMENT_BIT(MOMENT_BIND);
    tune_before(fd, &subject, moments, &decision);
    int result = real.connect(fd, address, length);
    if (tunes_at(MOMENT_BIT(MOMENT_CONNECTED)) && (result == 0 || errno == EINPROGRESS))
        tune_after(fd, &subject, &decision);
    /* An interrupted connect() goes on without the caller. */
    if (reported && (result == 0 || errno == EINPROGRESS || errno == EINTR))
        report_connect(fd, &subject, &decision);
    return result;
}

__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *address,
                                                   socklen_t length)
{
    if (tunes_at(MOMENT_BIT(MOMENT_CONNECT) | MOMENT_BIT(MOMENT_CONNECTED)) ||
        reports(ROLE_CONNECT))
        return connect_tuned(fd, address, length);
    return real.connect(fd, address, length);
}
