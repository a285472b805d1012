/* SPDX-License-Identifier: MIT */
/*
 * Reads facts from the kernel: SO_DOMAIN, SO_TYPE, SO_PROTOCOL, SO_COOKIE, getsockname,
 * getpeername, TCP_INFO.
 */
#include "learn.h"

#include "compat.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

/* The head of struct tcp_info as of Linux 4.19 (include/uapi/linux/tcp.h), with the fields used
 * here; glibc's own struct ends before bytes_acked. An older kernel returns fewer bytes. */
struct tcp_info_head {
    uint8_t state;
    uint8_t unused1[119];
    uint64_t bytes_acked; /* offset 120 */
    uint8_t unused2[72];
    uint64_t bytes_sent;    /* offset 200 */
    uint64_t bytes_retrans; /* offset 208 */
};
_Static_assert(offsetof(struct tcp_info_head, bytes_acked) == 120, "tcp_info");
_Static_assert(offsetof(struct tcp_info_head, bytes_sent) == 200, "tcp_info");

/* Reads the address by getsockname() or getpeername(). False if there is no such address. */
static bool learn_address(const struct socket_handle *socket, struct sockinfo *sockinfo,
                          enum fact_bit fact)
{
    bool local = fact == FACT_LOCAL;
    struct sockaddr_in6 address = {0};
    socklen_t length = sizeof address;
    struct sockaddr *to = (struct sockaddr *)&address;
    if ((local ? socket->ops->name : socket->ops->peer)(socket, to, &length) != 0)
        return false;
    if (length > sizeof address)
        length = sizeof address;
    unsigned family = address_read((const struct sockaddr *)&address, length,
                                   local ? &sockinfo->local : &sockinfo->remote,
                                   local ? &sockinfo->local_port : &sockinfo->remote_port);
    sockinfo->families &= (uint8_t)family;
    sockinfo->known |= (uint8_t)fact;
    return true;
}

/* A socket that is not bound has no local address, whatever getsockname() returns. */
static bool is_bound(const struct sockinfo *sockinfo)
{
    return sockinfo->families == FAMILY_UNIX || sockinfo->local_port != 0 ||
           !address_is_unspecified(&sockinfo->local);
}

static bool narrow_type(const struct socket_handle *socket, struct sockinfo *sockinfo,
                        enum phase phase)
{
    int type = socket_get_int(socket, SOL_SOCKET, SO_TYPE);
    if (type >= 0)
        sockinfo_narrow_type(sockinfo, phase, type);
    return type >= 0;
}

static bool learn_type(const struct socket_handle *socket, struct sockinfo *sockinfo,
                       enum phase phase)
{
    int domain = sockinfo->families == FAMILY_INET ? AF_INET
                 : sockinfo->families == FAMILY_INET6
                     ? AF_INET6
                     : socket_get_int(socket, SOL_SOCKET, SO_DOMAIN);
    int type = socket_get_int(socket, SOL_SOCKET, SO_TYPE);
    int protocol = socket_get_int(socket, SOL_SOCKET, SO_PROTOCOL);
    if (domain < 0 || type < 0 || protocol < 0)
        return false;
    sockinfo_learn_type(sockinfo, phase, domain, type, protocol);
    return true;
}

static bool learn_cookie(const struct socket_handle *socket, struct sockinfo *sockinfo)
{
    socklen_t length = sizeof sockinfo->cookie;
    if (socket->ops->get(socket, SOL_SOCKET, SO_COOKIE, &sockinfo->cookie, &length) != 0)
        return false;
    sockinfo->known |= FACT_COOKIE;
    return true;
}

void learn_facts(const struct socket_handle *socket, struct sockinfo *sockinfo, unsigned wanted,
                 enum phase phase)
{
    unsigned got = 0;
    if ((wanted & FACT_REMOTE) != 0 && learn_address(socket, sockinfo, FACT_REMOTE))
        got |= FACT_REMOTE | FACT_FAMILY;
    if ((wanted & FACT_LOCAL) != 0 && learn_address(socket, sockinfo, FACT_LOCAL)) {
        got |= FACT_LOCAL | FACT_FAMILY;
        if (phase == PHASE_CONNECT && !is_bound(sockinfo)) {
            sockinfo->known &= (uint8_t)~FACT_LOCAL;
            got &= ~(unsigned)FACT_LOCAL;
        }
    }
    if ((wanted & FACT_PROTOCOL) != 0 && learn_type(socket, sockinfo, phase))
        got |= FACT_FAMILY | FACT_ROLE | FACT_PROTOCOL;
    if ((wanted & FACT_FAMILY & ~got) != 0) {
        sockinfo->families &= (uint8_t)family_bit_of(socket_get_int(socket, SOL_SOCKET, SO_DOMAIN));
        got |= FACT_FAMILY;
    }
    if ((wanted & FACT_COOKIE) != 0 && learn_cookie(socket, sockinfo))
        got |= FACT_COOKIE;
    if ((wanted & FACT_ROLE & ~got) != 0 && narrow_type(socket, sockinfo, phase))
        got |= FACT_ROLE;
    sockinfo->unavailable |= (uint8_t)(wanted & ~got);
}

void learn_decision(const struct policy *policy, const struct active *active,
                    const struct socket_handle *socket, struct sockinfo *sockinfo, enum phase phase,
                    unsigned phases, struct decision *decision)
{
    /* Each round makes a fact known or unavailable, so the loop ends. */
    unsigned missing;
    while ((missing = match_rules(policy, active, sockinfo, phases, decision)) != 0)
        learn_facts(socket, sockinfo, missing, phase);
}

/* True if the action belongs to a phase that the socket has passed. */
static bool is_due_by_now(const struct policy_action *action, const struct sockinfo *sockinfo)
{
    return (action->phases & sockinfo_phases_behind(sockinfo)) != 0;
}

bool learn_guard(const struct policy *policy, const struct active *active,
                 const struct socket_handle *socket, uint32_t option, struct sockinfo *sockinfo,
                 struct guard *guard)
{
    unsigned missing;
    *guard = (struct guard){.held = NO_ACTION};
    if (!learn_history(socket, sockinfo))
        return false;
    /* connect() did not know the local address, so rules that need it did not act. */
    if ((sockinfo->known & FACT_ROLE) != 0 && sockinfo->roles == ROLE_CONNECT)
        sockinfo->unavailable |= FACT_LOCAL;
    while ((missing = match_guard(policy, active, sockinfo, option, guard)) != 0)
        learn_facts(socket, sockinfo, missing, PHASE_CONNECT);
    if (guard->held != NO_ACTION && !is_due_by_now(&policy->actions[guard->held], sockinfo))
        guard->held = NO_ACTION;
    return guard->ignored || guard->held != NO_ACTION;
}

uint32_t learn_report(const struct policy *policy, const struct active *active,
                      const struct socket_handle *socket, struct sockinfo *sockinfo,
                      enum phase phase)
{
    uint32_t number;
    unsigned missing;
    while ((missing = match_report(policy, active, sockinfo, &number)) != 0)
        learn_facts(socket, sockinfo, missing, phase);
    return number;
}

/* True if this side has sent a FIN, which takes a sequence number. */
static bool sent_fin(uint8_t state)
{
    return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_CLOSING ||
           state == TCP_LAST_ACK;
}

bool learn_has_connected(const struct socket_handle *socket)
{
    uint8_t state = TCP_CLOSE; /* the first byte of tcp_info */
    socklen_t length = sizeof state;
    return socket->ops->get(socket, IPPROTO_TCP, TCP_INFO, &state, &length) == 0 &&
           state != TCP_CLOSE;
}

/* Returns the role of a TCP or MPTCP socket by its state; 0 if that is ambiguous. */
static unsigned tcp_role(const struct socket_handle *socket, bool mptcp)
{
    struct tcp_info_head info = {0};
    socklen_t length = sizeof info;
    if (socket->ops->get(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0)
        return 0;
    if (info.state == TCP_LISTEN)
        return ROLE_LISTEN | ROLE_ACCEPT;
    if (info.state == TCP_SYN_SENT)
        return ROLE_CONNECT;
    if (info.state == TCP_CLOSE || length < sizeof info)
        return 0;
    int queued = 0, unsent = 0;
    if (info.bytes_sent != 0) {
        /* For MPTCP, the queues count all subflows, but tcp_info only one. */
        if (mptcp || socket->ops->queued(socket, SIOCOUTQ, &queued) != 0 ||
            socket->ops->queued(socket, SIOCOUTQNSD, &unsent) != 0)
            return 0;
    }
    /* All sequence numbers sent (acknowledged or in flight), without data and FIN: 1 for a SYN. */
    uint64_t in_flight = (uint64_t)(queued - unsent);
    uint64_t beside_data = info.bytes_acked + in_flight - (info.bytes_sent - info.bytes_retrans) -
                           sent_fin(info.state);
    return beside_data == 0 ? ROLE_ACCEPT : ROLE_CONNECT;
}

bool learn_history(const struct socket_handle *socket, struct sockinfo *sockinfo)
{
    *sockinfo = (struct sockinfo){.roles = ROLE_ALL};
    if (!learn_type(socket, sockinfo, PHASE_SOCKET) || sockinfo->families == 0 ||
        sockinfo->protocols == 0)
        return false;
    bool mptcp = sockinfo->protocols == PROTOCOL_MPTCP;
    unsigned role = sockinfo->protocols == PROTOCOL_TCP || mptcp ? tcp_role(socket, mptcp)
                    : sockinfo->roles == ROLE_DATAGRAM           ? ROLE_DATAGRAM
                    : socket_get_int(socket, SOL_SOCKET, SO_ACCEPTCONN) == 1
                        ? ROLE_LISTEN | ROLE_ACCEPT
                        : 0u;
    if (role != 0) {
        sockinfo->roles = (uint8_t)role;
        sockinfo->known |= FACT_ROLE;
    } else {
        sockinfo->unavailable |= FACT_ROLE;
    }
    return true;
}
