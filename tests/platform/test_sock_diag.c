/* SPDX-License-Identifier: MIT */
/*
 * What the helper assumes about sock_diag(7): from its bind() on, a socket of the multicast groups
 * gets an event for each destroyed TCP socket; a socket bound to an interface is found only by that
 * interface, and a dump names it; the first path of a Multipath TCP connection is a TCP socket with
 * the connection's addresses.
 */
#include "sockets.h"

#include "compat.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define GROUP(number) (1u << ((number)-1))

/* A destroyed socket, from the kernel's event. */
struct end {
    uint64_t cookie;
    uint16_t local_port;
    uint16_t remote_port;
    uint64_t sent;
    uint64_t received;
};

static int open_ends(uint32_t address, unsigned groups)
{
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_pid = address, .nl_groups = groups};
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    cr_assert(fd >= 0);
    if (groups)
        cr_assert_eq(bind(fd, (struct sockaddr *)&name, sizeof name), 0, "%s", strerror(errno));
    return fd;
}

static const unsigned both = GROUP(SKNLGRP_INET_TCP_DESTROY) | GROUP(SKNLGRP_INET6_TCP_DESTROY);

static void take_figures(const struct inet_diag_msg *message, size_t length, struct end *end)
{
    const char *at = (const char *)(message + 1), *stop = (const char *)message + length;
    while (at + sizeof(struct nlattr) <= stop) {
        const struct nlattr *attribute = (const void *)at;
        struct tcp_info info = {0};
        if (attribute->nla_len < sizeof *attribute)
            break;
        if (attribute->nla_type == INET_DIAG_INFO) {
            memcpy(&info, attribute + 1,
                   attribute->nla_len - sizeof *attribute < sizeof info
                       ? attribute->nla_len - sizeof *attribute
                       : sizeof info);
            end->sent = info.tcpi_bytes_sent;
            end->received = info.tcpi_bytes_received;
        }
        at += (attribute->nla_len + 3u) & ~3u;
    }
}

/* Wait for the end of the socket with this local port; other tests end sockets too. */
static struct end await_end(int fd, uint16_t local_port)
{
    for (;;) {
        char bytes[8192] __attribute__((aligned(8)));
        const struct nlmsghdr *header = (const void *)bytes;
        const struct inet_diag_msg *message = NLMSG_DATA(header);
        struct end end = {0};
        await(fd, POLLIN);
        cr_assert(recv(fd, bytes, sizeof bytes, 0) > 0, "%s", strerror(errno));
        cr_assert_eq(header->nlmsg_seq, 0);
        end.local_port = ntohs(message->id.idiag_sport);
        end.remote_port = ntohs(message->id.idiag_dport);
        end.cookie = (uint64_t)message->id.idiag_cookie[1] << 32 | message->id.idiag_cookie[0];
        if (end.local_port != local_port)
            continue;
        cr_expect_eq(message->idiag_state, 7, "CLOSE");
        take_figures(message, header->nlmsg_len - NLMSG_LENGTH(0), &end);
        return end;
    }
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length), 0);
    return cookie;
}

static uint16_t port_of(int fd)
{
    /* The port is at the same offset in both families. */
    struct sockaddr_in6 name = {0};
    socklen_t length = sizeof name;
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    return ntohs(name.sin6_port);
}

/* Send 1000 bytes from the first end, 500 back. */
static void talk(const int pair[2])
{
    char bytes[1000] = {0};
    cr_assert_eq(send(pair[0], bytes, 1000, 0), 1000);
    cr_assert_eq(recv(pair[1], bytes, 1000, MSG_WAITALL), 1000);
    cr_assert_eq(send(pair[1], bytes, 500, 0), 500);
    cr_assert_eq(recv(pair[0], bytes, 500, MSG_WAITALL), 500);
}

/* Events arrive from the bind() on, also with a chosen address; a second bind() may change the
 * groups. */
static void expect_each_end(const struct transport *transport)
{
    const uint32_t address = 0xc0000000u | (uint32_t)getpid();
    int ends = open_ends(address, both), pair[2];
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_pid = address, .nl_groups = both};
    struct end end;
    uint64_t cookie;
    uint16_t port;
    open_pair(transport, pair);
    talk(pair);
    cookie = cookie_of(pair[0]);
    port = port_of(pair[0]);
    close(pair[0]);
    close(pair[1]);
    cr_assert_eq(bind(ends, (struct sockaddr *)&name, sizeof name), 0, "%s", strerror(errno));
    end = await_end(ends, port);
    cr_expect_eq(end.cookie, cookie);
    cr_expect_eq(end.sent, 1000);
    cr_expect(end.received == 500 || end.received == 501, "the peer's FIN may have come");
    close(ends);
}

Test(sock_diag, tells_of_each_end)
{
    expect_each_end(transport_named("tcp4"));
    if (!transport_exists(transport_named("tcp6")))
        cr_skip("no tcp6");
    expect_each_end(transport_named("tcp6"));
}

/* The end of an MPTCP connection: the event of its first path has the connection's addresses and
 * figures, and a cookie of its own. */
Test(sock_diag, first_path_of_mptcp_is_tcp_with_the_same_ends)
{
    const struct transport *mptcp = transport_named("mptcp4");
    int ends = open_ends(0, both), pair[2];
    uint16_t port, remote_port;
    uint64_t cookie;
    struct end end;
    if (!transport_exists(mptcp))
        cr_skip("no MPTCP");
    open_pair(mptcp, pair);
    talk(pair);
    port = port_of(pair[0]);
    remote_port = port_of(pair[1]);
    cookie = cookie_of(pair[0]);
    close(pair[0]);
    usleep(20000);
    close(pair[1]);
    end = await_end(ends, port);
    cr_expect_neq(end.cookie, cookie);
    cr_expect_eq(end.remote_port, remote_port);
    cr_expect_eq(end.sent, 1000);
    cr_expect(end.received == 500 || end.received == 501);
    close(ends);
}

/* Looking up */

/* Send a request and take each socket of the answer; for a dump, until its end. */
static void exchange(int fd, const struct nlmsghdr *request, bool dump,
                     void (*take)(void *context, const struct nlmsghdr *header), void *context)
{
    bool more = true;
    cr_assert_eq(send(fd, request, request->nlmsg_len, 0), (ssize_t)request->nlmsg_len);
    while (more) {
        char bytes[32768] __attribute__((aligned(8)));
        int left = (int)recv(fd, bytes, sizeof bytes, 0);
        const struct nlmsghdr *header = (const void *)bytes;
        cr_assert(left > 0, "%s", strerror(errno));
        more = dump;
        for (; NLMSG_OK(header, (unsigned)left); header = NLMSG_NEXT(header, left)) {
            if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR)
                more = false;
            else
                take(context, header);
        }
    }
}

struct wanted {
    uint16_t port;
    int interface; /* out */
};

static void note_interface(void *context, const struct nlmsghdr *header)
{
    const struct inet_diag_msg *message = NLMSG_DATA(header);
    struct wanted *wanted = context;
    if (ntohs(message->id.idiag_sport) == wanted->port)
        wanted->interface = (int)message->id.idiag_if;
}

/* Ask for the socket with these IPv4 addresses, or dump all such sockets. Returns the idiag_if of
 * the answer with the local port, or -1 if there is none. */
static int ask(uint16_t local_port, uint16_t remote_port, unsigned interface, bool dump)
{
    struct wanted wanted = {local_port, -1};
    int fd = open_ends(0, 0);
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 request;
    } asked = {.header = {.nlmsg_len = sizeof asked,
                          .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                          .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0))},
               .request = {.sdiag_family = AF_INET,
                           .sdiag_protocol = IPPROTO_TCP,
                           .idiag_states = 1 << 1, /* ESTABLISHED */
                           .id = {.idiag_sport = htons(local_port),
                                  .idiag_dport = htons(remote_port),
                                  .idiag_src = {htonl(INADDR_LOOPBACK)},
                                  .idiag_dst = {htonl(INADDR_LOOPBACK)},
                                  .idiag_if = interface,
                                  .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}}};

    exchange(fd, &asked.header, dump, note_interface, &wanted);
    close(fd);
    return wanted.interface;
}

Test(sock_diag, a_bound_socket_is_found_by_its_interface_only)
{
    const int loopback = 1;
    uint16_t port, remote_port;
    int pair[2];
    open_pair(transport_named("tcp4"), pair);
    port = port_of(pair[0]);
    remote_port = port_of(pair[1]);
    cr_expect_eq(ask(port, remote_port, 0, false), 0);
    if (setsockopt(pair[0], SOL_SOCKET, SO_BINDTOIFINDEX, &loopback, sizeof loopback) != 0)
        cr_skip("may not bind to an interface");
    cr_expect_eq(ask(port, remote_port, 0, false), -1);
    cr_expect_eq(ask(port, remote_port, 1, false), 1);
    cr_expect_eq(ask(port, remote_port, 0, true), 1);
    cr_expect_eq(ask(remote_port, port, 1, false), 0, "one that is bound to none, by any");
    close(pair[0]);
    close(pair[1]);
}

struct listeners_shown {
    uint16_t port4, port6;
    unsigned families; /* out: 1: IPv4, 2: IPv6 */
};

/* Answers without tcp_info do not count. */
static void note_listener(void *context, const struct nlmsghdr *header)
{
    const struct inet_diag_msg *message = NLMSG_DATA(header);
    struct listeners_shown *shown = context;
    uint16_t port = ntohs(message->id.idiag_sport);
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof *message) + 100)
        return;
    if (message->idiag_family == AF_INET && port == shown->port4)
        shown->families |= 1;
    if (message->idiag_family == AF_INET6 && port == shown->port6)
        shown->families |= 2;
}

/* The families whose listeners at these ports the older request returns. */
static unsigned families_shown(uint16_t port4, uint16_t port6)
{
    struct listeners_shown shown = {port4, port6, 0};
    int fd = open_ends(0, 0);
    struct {
        struct nlmsghdr header;
        struct inet_diag_req request;
    } asked = {.header = {.nlmsg_len = sizeof asked,
                          .nlmsg_type = TCPDIAG_GETSOCK,
                          .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
               .request = {.idiag_states = 1 << 10, /* LISTEN */
                           .idiag_ext = 1 << (INET_DIAG_INFO - 1)}};

    exchange(fd, &asked.header, true, note_listener, &shown);
    close(fd);
    return shown.families;
}

Test(sock_diag, the_older_request_dumps_both_families_at_once)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int one = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET6, SOCK_STREAM, 0);
    cr_assert_eq(bind(one, (struct sockaddr *)&any4, sizeof any4), 0);
    cr_assert_eq(bind(other, (struct sockaddr *)&any, sizeof any), 0);
    cr_assert_eq(listen(one, 1), 0);
    cr_assert_eq(listen(other, 1), 0);
    cr_expect_eq(families_shown(port_of(one), port_of(other)), 3);
    close(one);
    close(other);
}
