/* SPDX-License-Identifier: MIT */
/*
 * Conversion of the arguments of socket calls to sockinfos.
 */
#include "sockinfo.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static const struct {
    int domain, type, protocol;
    unsigned family, bit;
} sockets[] = {
    {AF_INET, SOCK_STREAM, 0, FAMILY_INET, PROTOCOL_TCP},
    {AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP, FAMILY_INET, PROTOCOL_TCP},
    {AF_INET6, SOCK_STREAM, 262, FAMILY_INET6, PROTOCOL_MPTCP},
    {AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0, FAMILY_INET6, PROTOCOL_UDP},
    {AF_INET, SOCK_DGRAM, IPPROTO_ICMP, FAMILY_INET, PROTOCOL_ICMP},
    {AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, FAMILY_INET6, PROTOCOL_ICMP},
    {AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, FAMILY_INET, PROTOCOL_UDPLITE},
    {AF_INET, SOCK_RAW, IPPROTO_TCP, FAMILY_INET, PROTOCOL_RAW},
    {AF_INET, SOCK_SEQPACKET, 0, FAMILY_INET, PROTOCOL_SCTP},
    {AF_INET, SOCK_STREAM, IPPROTO_SCTP, FAMILY_INET, PROTOCOL_SCTP},
    {AF_INET, SOCK_DCCP, 0, FAMILY_INET, PROTOCOL_DCCP},
    {AF_UNIX, SOCK_STREAM, 0, FAMILY_UNIX, PROTOCOL_UNIX_STREAM},
    {AF_UNIX, SOCK_SEQPACKET, 0, FAMILY_UNIX, PROTOCOL_UNIX_STREAM},
    {AF_UNIX, SOCK_DGRAM, 0, FAMILY_UNIX, PROTOCOL_UNIX_DGRAM},
    {AF_INET, SOCK_STREAM, 99, FAMILY_INET, 0},
    {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 0, 0},
    {AF_PACKET, SOCK_DGRAM, 0, 0, 0},
    {AF_VSOCK, SOCK_STREAM, 0, 0, 0},
    {-1, -1, -1, 0, 0},
};

Test(sockinfo, sockets_by_domain_type_and_protocol)
{
    for (size_t i = 0; i < sizeof sockets / sizeof sockets[0]; i++) {
        struct sockinfo s;
        bool ours = sockinfo_at_socket(&s, sockets[i].domain, sockets[i].type, sockets[i].protocol);
        cr_expect_eq(s.families, sockets[i].family, "row %zu", i);
        cr_expect_eq(s.protocols, sockets[i].bit, "row %zu", i);
        cr_expect_eq(ours, sockets[i].family != 0 && sockets[i].bit != 0, "row %zu", i);
    }
}

Test(sockinfo, what_a_stream_socket_becomes_is_open_at_socket)
{
    struct sockinfo s;
    sockinfo_at_socket(&s, AF_INET, SOCK_STREAM, 0);
    cr_expect_eq(s.roles, ROLE_STREAM);
    cr_expect_eq(s.known & FACT_ROLE, 0);
    cr_expect_eq(s.unavailable, FACT_ROLE | FACT_LOCAL | FACT_REMOTE);
    sockinfo_at_socket(&s, AF_INET, SOCK_DGRAM, 0);
    cr_expect_eq(s.roles, ROLE_DATAGRAM);
}

Test(sockinfo, ipv4_is_held_as_mapped)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct address address;
    uint16_t port;
    inet_pton(AF_INET, "10.1.2.3", &in.sin_addr);
    cr_expect_eq(address_read((struct sockaddr *)&in, sizeof in, &address, &port), FAMILY_INET);
    cr_expect_eq(port, 80);
    struct in6_addr mapped;
    inet_pton(AF_INET6, "::ffff:10.1.2.3", &mapped);
    cr_expect_arr_eq(address.bytes, &mapped, 16);
    cr_expect(address_is_v4(&address));
    cr_expect_not(address_is_unspecified(&address));
}

Test(sockinfo, unspecified_addresses)
{
    struct address any = {{0}}, any4 = {{[10] = 0xff, [11] = 0xff}}, one = {{[15] = 1}};
    cr_expect(address_is_unspecified(&any));
    cr_expect(address_is_unspecified(&any4));
    cr_expect_not(address_is_unspecified(&one));
    cr_expect_not(address_is_v4(&any));
}

Test(sockinfo, odd_addresses_are_left_to_the_kernel)
{
    struct sockaddr_storage storage;
    memset(&storage, 0xee, sizeof storage);
    struct address address;
    uint16_t port;
    cr_expect_eq(address_read(NULL, 16, &address, &port), 0);
    for (socklen_t length = 0; length < sizeof(struct sockaddr_in); length++) {
        storage.ss_family = AF_INET;
        cr_expect_eq(address_read((struct sockaddr *)&storage, length, &address, &port), 0);
    }
    for (socklen_t length = 0; length < 24; length++) {
        storage.ss_family = AF_INET6;
        cr_expect_eq(address_read((struct sockaddr *)&storage, length, &address, &port), 0);
    }
    storage.ss_family = AF_UNSPEC;
    cr_expect_eq(address_read((struct sockaddr *)&storage, 16, &address, &port), 0);
    struct sockinfo s;
    cr_expect_not(
        sockinfo_at_address(&s, PHASE_CONNECT, (struct sockaddr *)&storage, sizeof storage));
}

/* An unaligned address with no readable memory after it. */
Test(sockinfo, addresses_need_not_be_aligned)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    inet_pton(AF_INET6, "fd00::1", &in6.sin6_addr);
    for (size_t shift = 0; shift < 8; shift++) {
        char *memory = malloc(shift + 24);
        struct address address;
        uint16_t port;
        memcpy(memory + shift, &in6, 24);
        cr_expect_eq(address_read((struct sockaddr *)(void *)(memory + shift), 24, &address, &port),
                     FAMILY_INET6);
        cr_expect_eq(port, 443);
        free(memory);
    }
}

Test(sockinfo, the_type_settles_the_role_but_at_bind)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockinfo s;
    cr_expect(sockinfo_at_address(&s, PHASE_CONNECT, (struct sockaddr *)&in, sizeof in));
    cr_expect_eq(s.roles, ROLE_CONNECT | ROLE_DATAGRAM);
    sockinfo_narrow_type(&s, PHASE_CONNECT, SOCK_DGRAM);
    cr_expect_eq(s.protocols, PROTOCOL_UDP | PROTOCOL_UDPLITE | PROTOCOL_ICMP);
    cr_expect_eq(s.roles, ROLE_DATAGRAM);
    cr_expect(s.known & FACT_ROLE);

    cr_expect(sockinfo_at_address(&s, PHASE_BIND, (struct sockaddr *)&in, sizeof in));
    sockinfo_learn_type(&s, PHASE_BIND, AF_INET, SOCK_STREAM, IPPROTO_TCP);
    cr_expect_eq(s.roles, ROLE_STREAM, "what precedes bind() is for whatever follows it");
    cr_expect(s.known & FACT_ROLE);
}

Test(sockinfo, unix_addresses_have_no_port)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};
    struct sockinfo s;
    cr_expect(sockinfo_at_address(&s, PHASE_CONNECT, (struct sockaddr *)&un, sizeof un));
    cr_expect_eq(s.families, FAMILY_UNIX);
    cr_expect_eq(s.protocols, PROTOCOL_UNIX_STREAM | PROTOCOL_UNIX_DGRAM);
}
