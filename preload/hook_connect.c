/* SPDX-License-Identifier: MIT */
/*
 * connect(): the rules on the remote address and on connecting sockets, before the call; `source`;
 * what the kernel forgets when it is set before the connection exists; and the report of it.
 */
#include "kernel.h"
#include "learn.h"
#include "real.h"
#include "report.h"
#include "trace.h"
#include "tune.h"

#include <errno.h>
#include <netinet/in.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24 /* include/uapi/linux/in.h */
#endif

/* Bind a socket that has no address yet to that of the rule, with any port; the port is chosen at
 * connect(), as it would be without the bind. */
static void bind_source(int fd, const struct subject *subject, const struct policy_action *action)
{
    struct subject bound = {.families = subject->families};
    learn(fd, &bound, FACT_LOCAL, MOMENT_CONNECT);
    struct address source;
    __builtin_memcpy(&source, policy_string(&state.policy, action->value), sizeof source);
    if ((bound.known & FACT_LOCAL) != 0 ||
        address_is_v4(&source) != address_is_v4(&subject->remote))
        return;
    const int on = 1;
    kernel_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    errno = 0;
    if (subject->families == FAMILY_INET) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        __builtin_memcpy(&address.sin_addr, source.bytes + 12, sizeof address.sin_addr);
        kernel_call(SYS_bind, fd, &address, sizeof address);
    } else {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6};
        __builtin_memcpy(&address.sin6_addr, source.bytes, sizeof address.sin6_addr);
        kernel_call(SYS_bind, fd, &address, sizeof address);
    }
    trace_action(fd, subject, MOMENT_CONNECT, action, errno);
}

static void tune_before(int fd, struct subject *subject, unsigned moments,
                        struct decision *decision)
{
    int saved = errno;
    tune_decide(fd, subject, MOMENT_CONNECT, moments, decision);
    tune_apply(fd, subject, decision, MOMENT_BIT(MOMENT_CONNECT));
    const struct policy_action *source = tune_special(decision, subject, OP_SOURCE, MOMENT_CONNECT);
    if (source != NULL)
        bind_source(fd, subject, source);
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
