/* SPDX-License-Identifier: MIT */
/*
 * socket(): rules that depend on the program alone, and `transport`.
 */
#include "apply.h"
#include "connecting.h"
#include "plain_tcp.h"
#include "real.h"
#include "reconnect.h"
#include "trace.h"
#include "tune.h"

#include <errno.h>

/* Create the socket with the rule's transport, or as the program asked if that fails. Both cases
 * are traced. */
static int open_socket(const struct rules_in_force *rules, int domain, int type, int protocol,
                       struct sockinfo *sockinfo, const struct policy_action *transport)
{
    if (transport == NULL)
        return real.socket(domain, type, protocol);
    int saved = errno, wanted;
    __builtin_memcpy(&wanted, policy_string(&rules->policy, transport->value), sizeof wanted);
    int fd = real.socket(domain, type, wanted);
    int error = fd >= 0 ? 0 : errno;
    errno = saved;
    if (error == 0)
        sockinfo->protocols = (uint16_t)protocol_bit_of(domain, type, wanted);
    else
        fd = real.socket(domain, type, protocol);
    saved = errno;
    trace_action(rules, &(const struct application){.sockinfo = sockinfo, .socket = OWN_SOCKET(fd)},
                 PHASE_SOCKET, transport, error == 0 ? APPLIED_SET : APPLIED_FAILED, error);
    errno = saved;
    return fd;
}

static int socket_by_rules(const struct rules_in_force *rules, int domain, int type, int protocol)
{
    struct sockinfo sockinfo;
    if (!rules_act_at(rules, PHASE_BIT(PHASE_SOCKET)) ||
        !sockinfo_at_socket(&sockinfo, domain, type, protocol)) {
        int other = real.socket(domain, type, protocol);
        reconnect_forget(other);
        return other;
    }
    struct decision decision;
    tune_decide(rules, -1, &sockinfo, PHASE_SOCKET, PHASE_BIT(PHASE_SOCKET), &decision);
    const struct policy_action *transport = apply_transport(&rules->policy, &decision, &sockinfo);
    int fd = open_socket(rules, domain, type, protocol, &sockinfo, transport);
    if (fd >= 0) {
        int saved = errno;
        reconnect_forget(fd);
        if (transport != NULL && sockinfo.protocols == PROTOCOL_MPTCP)
            plain_tcp_note(fd);
        tune_apply(rules, fd, &sockinfo, &decision, PHASE_BIT(PHASE_SOCKET));
        errno = saved;
    }
    return fd;
}

/* noinline: other calls pass through with a small frame. */
static __attribute__((noinline)) int socket_tuned(int domain, int type, int protocol)
{
    const struct rules_in_force *rules = rules_enter();
    int fd = socket_by_rules(rules, domain, type, protocol);
    rules_leave(rules);
    return fd;
}

__attribute__((visibility("default"))) int socket(int domain, int type, int protocol)
{
    bool tuned = tunes_at(PHASE_BIT(PHASE_SOCKET));
    int fd = tuned ? socket_tuned(domain, type, protocol) : real.socket(domain, type, protocol);
    if (!tuned && (connecting_concerns_us() || reports(ROLE_ALL)))
        reconnect_forget(fd);
    if (reports(ROLE_CONNECT))
        report_made(fd);
    return fd;
}
