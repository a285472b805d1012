/* SPDX-License-Identifier: MIT */
/*
 * Makes a sockinfo from the arguments of a socket call. Pure.
 */
#include "sockinfo.h"

#include "compat.h"

#include <netinet/in.h>

/* The bit of each type and protocol; protocol -1 stands for all. */
static const struct {
    int type;
    int protocol;
    uint16_t bit;
} ip_protocols[] = {
    {SOCK_RAW, -1, PROTOCOL_RAW},
    {SOCK_STREAM, 0, PROTOCOL_TCP},
    {SOCK_STREAM, IPPROTO_TCP, PROTOCOL_TCP},
    {SOCK_STREAM, IPPROTO_MPTCP, PROTOCOL_MPTCP},
    {SOCK_DGRAM, 0, PROTOCOL_UDP},
    {SOCK_DGRAM, IPPROTO_UDP, PROTOCOL_UDP},
    {SOCK_DGRAM, IPPROTO_UDPLITE, PROTOCOL_UDPLITE},
    {SOCK_DGRAM, IPPROTO_ICMP, PROTOCOL_ICMP},
    {SOCK_DGRAM, IPPROTO_ICMPV6, PROTOCOL_ICMP},
    {SOCK_STREAM, IPPROTO_SCTP, PROTOCOL_SCTP},
    {SOCK_SEQPACKET, IPPROTO_SCTP, PROTOCOL_SCTP},
    {SOCK_SEQPACKET, 0, PROTOCOL_SCTP},
    {SOCK_DCCP, -1, PROTOCOL_DCCP},
};

unsigned family_bit_of(int domain)
{
    switch (domain) {
    case AF_INET:
        return FAMILY_INET;
    case AF_INET6:
        return FAMILY_INET6;
    case AF_UNIX:
        return FAMILY_UNIX;
    default:
        return 0;
    }
}

unsigned protocol_bit_of(int domain, int type, int protocol)
{
    type &= ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (domain == AF_UNIX)
        return type == SOCK_DGRAM || type == SOCK_RAW ? PROTOCOL_UNIX_DGRAM : PROTOCOL_UNIX_STREAM;
    if (domain != AF_INET && domain != AF_INET6)
        return 0;
    for (size_t i = 0; i < sizeof ip_protocols / sizeof ip_protocols[0]; i++)
        if (ip_protocols[i].type == type &&
            (ip_protocols[i].protocol == -1 || ip_protocols[i].protocol == protocol))
            return ip_protocols[i].bit;
    return 0;
}

unsigned roles_of_protocols(unsigned protocols)
{
    return ((protocols & PROTOCOL_CONNECTED) != 0 ? ROLE_STREAM : 0u) |
           ((protocols & PROTOCOL_DATAGRAM) != 0 ? ROLE_DATAGRAM : 0u);
}

/* The protocols that sockets of these families may have. */
static uint16_t protocols_of_families(unsigned families)
{
    const unsigned unix_protocols = PROTOCOL_UNIX_STREAM | PROTOCOL_UNIX_DGRAM;
    return (uint16_t)(((families & FAMILY_IP) != 0 ? PROTOCOL_ALL & ~unix_protocols : 0u) |
                      ((families & FAMILY_UNIX) != 0 ? unix_protocols : 0u));
}

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* A sockaddr from a program need not be aligned, so fields are copied byte by byte. */
static void copy_bytes(uint8_t *to, const void *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = ((const uint8_t *)from)[i];
}

static uint16_t sockaddr_port(const void *field)
{
    const uint8_t *bytes = field;
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* The shortest AF_INET6 address that the kernel accepts: without sin6_scope_id (RFC 2133). */
#define SIN6_LEN_RFC2133 24

unsigned address_read(const struct sockaddr *from, socklen_t length, struct address *address,
                      uint16_t *port)
{
    const uint8_t *bytes = (const uint8_t *)from;
    sa_family_t family;
    if (!sockinfo_is_pointer(from) || length < sizeof family)
        return 0;
    copy_bytes((uint8_t *)&family, bytes, sizeof family);
    if (family == AF_INET && length >= sizeof(struct sockaddr_in)) {
        copy_bytes(address->bytes, v4_mapped, sizeof v4_mapped);
        copy_bytes(address->bytes + sizeof v4_mapped,
                   bytes + offsetof(struct sockaddr_in, sin_addr), 4);
        *port = sockaddr_port(bytes + offsetof(struct sockaddr_in, sin_port));
        return FAMILY_INET;
    }
    if (family == AF_INET6 && length >= SIN6_LEN_RFC2133) {
        copy_bytes(address->bytes, bytes + offsetof(struct sockaddr_in6, sin6_addr), 16);
        *port = sockaddr_port(bytes + offsetof(struct sockaddr_in6, sin6_port));
        return FAMILY_INET6;
    }
    if (family == AF_UNIX) {
        *address = (struct address){{0}};
        *port = 0;
        return FAMILY_UNIX;
    }
    return 0;
}

bool sockinfo_at_socket(struct sockinfo *sockinfo, int domain, int type, int protocol)
{
    *sockinfo = (struct sockinfo){
        .families = (uint8_t)family_bit_of(domain),
        .protocols = (uint16_t)protocol_bit_of(domain, type, protocol),
        .unavailable = FACT_ROLE | FACT_LOCAL | FACT_REMOTE,
    };
    sockinfo->roles = (uint8_t)roles_of_protocols(sockinfo->protocols);
    return sockinfo->families != 0 && sockinfo->protocols != 0;
}

/* connect() to the wildcard address goes to this machine. */
static void settle_any(struct address *remote)
{
    if (address_is_unspecified(remote)) {
        bool v4 = address_is_v4(remote);
        remote->bytes[12] = v4 ? 127 : 0;
        remote->bytes[15] = 1;
    }
}

bool sockinfo_at_address(struct sockinfo *sockinfo, enum phase phase,
                         const struct sockaddr *address, socklen_t length)
{
    bool bind = phase == PHASE_BIND;
    *sockinfo = (struct sockinfo){
        .roles = (uint8_t)(bind ? ROLE_ALL : ROLE_CONNECT | ROLE_DATAGRAM),
        .known = (uint8_t)(bind ? FACT_LOCAL : FACT_REMOTE),
        .unavailable = (uint8_t)(bind ? FACT_REMOTE : 0),
    };
    sockinfo->families =
        (uint8_t)address_read(address, length, bind ? &sockinfo->local : &sockinfo->remote,
                              bind ? &sockinfo->local_port : &sockinfo->remote_port);
    if (!bind && (sockinfo->families & FAMILY_IP) != 0)
        settle_any(&sockinfo->remote);
    sockinfo->protocols = protocols_of_families(sockinfo->families);
    return sockinfo->families != 0;
}

void sockinfo_at_listen(struct sockinfo *sockinfo)
{
    *sockinfo = (struct sockinfo){
        .roles = ROLE_LISTEN | ROLE_ACCEPT,
        .families = FAMILY_ALL,
        .protocols = PROTOCOL_CONNECTED,
        .known = FACT_ROLE,
        .unavailable = FACT_REMOTE,
    };
}

void sockinfo_at_accept(struct sockinfo *sockinfo)
{
    *sockinfo = (struct sockinfo){
        .roles = ROLE_ACCEPT,
        .families = FAMILY_ALL,
        .protocols = PROTOCOL_CONNECTED,
        .known = FACT_ROLE,
    };
}

/* The protocols that sockets of a type may have. */
static unsigned protocols_of_type(int type)
{
    unsigned protocols = type == SOCK_DGRAM ? PROTOCOL_UNIX_DGRAM : PROTOCOL_UNIX_STREAM;
    for (size_t i = 0; i < sizeof ip_protocols / sizeof ip_protocols[0]; i++)
        if (ip_protocols[i].type == type)
            protocols |= ip_protocols[i].bit;
    return protocols;
}

static void settle_role(struct sockinfo *sockinfo, enum phase phase)
{
    sockinfo->roles &= (uint8_t)roles_of_protocols(sockinfo->protocols);
    /* At bind() the role of a stream socket is open: what must precede bind() is set for each role.
     * Any other call determines the role. */
    if (phase != PHASE_SOCKET)
        sockinfo->known |= FACT_ROLE;
}

void sockinfo_narrow_type(struct sockinfo *sockinfo, enum phase phase, int type)
{
    sockinfo->protocols &= (uint16_t)protocols_of_type(type);
    settle_role(sockinfo, phase);
}

void sockinfo_learn_type(struct sockinfo *sockinfo, enum phase phase, int domain, int type,
                         int protocol)
{
    sockinfo->families = (uint8_t)family_bit_of(domain);
    sockinfo->protocols = (uint16_t)protocol_bit_of(domain, type, protocol);
    settle_role(sockinfo, phase);
}

#define BIT(phase) PHASE_BIT(PHASE_##phase)

unsigned sockinfo_phases_behind(const struct sockinfo *sockinfo)
{
    if ((sockinfo->known & FACT_ROLE) == 0)
        return BIT(SOCKET);
    if ((sockinfo->roles & ROLE_LISTEN) != 0)
        return BIT(SOCKET) | BIT(BIND) | BIT(LISTEN) | BIT(LISTENING);
    if ((sockinfo->roles & ROLE_ACCEPT) != 0)
        return BIT(SOCKET) | BIT(LISTEN) | BIT(LISTENING) | BIT(ACCEPT) | BIT(ACCEPT_WILDCARD);
    return BIT(SOCKET) | BIT(BIND) | BIT(CONNECT) | BIT(CONNECTED);
}

bool sockinfo_is_connection(const struct sockinfo *sockinfo)
{
    return (sockinfo->known & FACT_ROLE) != 0 &&
           (sockinfo->roles & (ROLE_LISTEN | ROLE_DATAGRAM)) == 0;
}
