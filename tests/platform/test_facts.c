/* SPDX-License-Identifier: MIT */
/*
 * What socktune assumes about the kernel beyond single rows of the option table: side effects,
 * phases and limits. A kernel that differs must make a test here fail, instead of surprising a
 * user.
 */
#include "sockets.h"

#include "compat.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define LOWDELAY 0x10
#define EF       0xb8 /* code point 46 */
#define ECN_ECT0 0x02

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A listening IPv6 socket that accepts IPv4 too. */
static int open_dual_stack(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    const struct transport *tcp6 = transport_named("tcp6");
    int fd;
    if (!transport_exists(tcp6))
        cr_skip("no IPv6");
    fd = open_socket(tcp6);
    set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    cr_assert(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0, "bind: %s", strerror(errno));
    return fd;
}

/* Connect to the port of a dual-stack listener over IPv4; returns the accepted socket. */
static int join_over_ipv4(int listener)
{
    struct sockaddr_storage address;
    struct sockaddr_in loopback = {.sin_family = AF_INET};
    int client = open_socket(transport_named("tcp4")), accepted;
    address_of(listener, &address);
    loopback.sin_port = ((struct sockaddr_in6 *)&address)->sin6_port;
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    cr_assert(connect(client, (struct sockaddr *)&loopback, sizeof(loopback)) == 0, "connect: %s",
              strerror(errno));
    await(listener, POLLIN);
    accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert(accepted >= 0, "accept4: %s", strerror(errno));
    close(client);
    return accepted;
}

/* IP_TOS and SO_PRIORITY */

Test(facts, tos_sets_the_priority_so_it_comes_first)
{
    int fd = open_socket(transport_named("tcp4"));
    set_int(fd, SOL_SOCKET, SO_PRIORITY, 3);
    set_int(fd, IPPROTO_IP, IP_TOS, LOWDELAY);
    cr_expect(get_int(fd, SOL_SOCKET, SO_PRIORITY) == 6, "IP_TOS lowdelay gave priority %d",
              get_int(fd, SOL_SOCKET, SO_PRIORITY));
    set_int(fd, SOL_SOCKET, SO_PRIORITY, 3);
    cr_expect(get_int(fd, SOL_SOCKET, SO_PRIORITY) == 3);
    cr_expect(get_int(fd, IPPROTO_IP, IP_TOS) == LOWDELAY);
    close(fd);
}

Test(facts, accepted_socket_has_the_tos_but_not_the_priority)
{
    const struct transport *tcp = transport_named("tcp4");
    int listener = open_socket(tcp), client = open_socket(tcp), accepted;
    set_int(listener, IPPROTO_IP, IP_TOS, LOWDELAY);
    set_int(listener, SOL_SOCKET, SO_PRIORITY, 5);
    start_listening(tcp, listener);
    accepted = join(client, listener);
    cr_expect(get_int(accepted, IPPROTO_IP, IP_TOS) == LOWDELAY);
    cr_expect(get_int(accepted, SOL_SOCKET, SO_PRIORITY) == 0);
    close(accepted);
    close(client);
    close(listener);
}

Test(facts, tcp_keeps_its_own_ecn_bits)
{
    int tcp = open_socket(transport_named("tcp4")), udp = open_socket(transport_named("udp4"));
    set_int(tcp, IPPROTO_IP, IP_TOS, EF | ECN_ECT0);
    cr_expect(get_int(tcp, IPPROTO_IP, IP_TOS) == EF);
    set_int(udp, IPPROTO_IP, IP_TOS, EF | ECN_ECT0);
    cr_expect(get_int(udp, IPPROTO_IP, IP_TOS) == (EF | ECN_ECT0));
    close(tcp);
    close(udp);
}

/* Why `dscp` is two actions: each address family uses its own option. */
Test(facts, dual_stack_listener_needs_both_traffic_classes)
{
    int listener = open_dual_stack(), accepted;
    set_int(listener, IPPROTO_IPV6, IPV6_TCLASS, EF);
    cr_assert(listen(listener, 8) == 0);
    accepted = join_over_ipv4(listener);
    cr_expect(get_int(accepted, IPPROTO_IP, IP_TOS) == 0, "IPV6_TCLASS reaches IPv4 peers");
    close(accepted);

    set_int(listener, IPPROTO_IP, IP_TOS, EF);
    accepted = join_over_ipv4(listener);
    cr_expect(get_int(accepted, IPPROTO_IP, IP_TOS) == EF);
    cr_expect(get_int(accepted, IPPROTO_IPV6, IPV6_TCLASS) == EF);
    close(accepted);
    close(listener);
}

/* Phases */

Test(facts, quickack_before_listen_is_lost_and_after_it_inherited)
{
    const struct transport *tcp = transport_named("tcp4");
    for (int after = 0; after <= 1; after++) {
        int listener = open_socket(tcp), client = open_socket(tcp), accepted;
        if (!after)
            set_int(listener, IPPROTO_TCP, TCP_QUICKACK, 0);
        start_listening(tcp, listener);
        if (after)
            set_int(listener, IPPROTO_TCP, TCP_QUICKACK, 0);
        cr_expect(get_int(listener, IPPROTO_TCP, TCP_QUICKACK) == !after,
                  "set %s listen(), the listener reads %d", after ? "after" : "before",
                  get_int(listener, IPPROTO_TCP, TCP_QUICKACK));
        accepted = join(client, listener);
        cr_expect(get_int(accepted, IPPROTO_TCP, TCP_QUICKACK) == !after,
                  "set %s listen(), the accepted socket reads %d", after ? "after" : "before",
                  get_int(accepted, IPPROTO_TCP, TCP_QUICKACK));
        close(accepted);
        close(client);
        close(listener);
    }
}

Test(facts, an_option_does_not_reach_connections_already_in_the_queue)
{
    const struct transport *tcp = transport_named("tcp4");
    int listener = open_socket(tcp), client = open_socket(tcp), accepted;
    struct sockaddr_storage address;
    socklen_t length;
    start_listening(tcp, listener);
    length = address_of(listener, &address);
    cr_assert(connect(client, (struct sockaddr *)&address, length) == 0);
    await(listener, POLLIN);
    set_int(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
    accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert(accepted >= 0);
    cr_expect(get_int(accepted, SOL_SOCKET, SO_KEEPALIVE) == 0);
    close(accepted);
    close(client);
    close(listener);
}

/* Why the table marks the inheritance of SO_RCVTIMEO as unwanted. */
Test(facts, rcvtimeo_on_a_listener_ends_accept)
{
    const struct transport *tcp = transport_named("tcp4");
    struct timeval timeout = {.tv_usec = 50000};
    int listener = open_socket(tcp), accepted;
    double start;
    cr_assert(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
    start_listening(tcp, listener);
    start = seconds();
    accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_expect(accepted == -1 && errno == EAGAIN);
    cr_expect(seconds() - start >= 0.045);
    close(listener);
}

/* Buffers */

static unsigned window_scale_received(int fd)
{
    struct tcp_info info;
    socklen_t length = sizeof(info);
    cr_assert(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0);
    return info.tcpi_rcv_wscale;
}

/* Why buffers come before connect() and listen(): the SYN fixes the window scale. */
Test(facts, rcvbuf_settles_the_window_scale_in_the_handshake)
{
    const struct transport *tcp = transport_named("tcp4");
    int listener = open_socket(tcp), client = open_socket(tcp), late = open_socket(tcp), accepted,
        second;
    set_int(listener, SOL_SOCKET, SO_RCVBUF, 64 << 10);
    set_int(client, SOL_SOCKET, SO_RCVBUF, 64 << 10);
    start_listening(tcp, listener);
    accepted = join(client, listener);
    second = join(late, listener);
    cr_expect(get_int(accepted, SOL_SOCKET, SO_RCVBUF) == 128 << 10);
    cr_expect(window_scale_received(accepted) <= 2, "accepted: scale %u",
              window_scale_received(accepted));
    cr_expect(window_scale_received(client) <= 2, "client: scale %u",
              window_scale_received(client));
    set_int(late, SOL_SOCKET, SO_RCVBUF, 64 << 10);
    cr_expect(window_scale_received(late) > 2, "set too late, the scale stays %u",
              window_scale_received(late));
    close(second);
    close(accepted);
    close(late);
    close(client);
    close(listener);
}

Test(facts, force_variants_pass_the_caps_of_sysctl)
{
    int fd = open_socket(transport_named("tcp4"));
    int before, bytes = 64 << 20;
    set_int(fd, SOL_SOCKET, SO_RCVBUF, bytes);
    before = get_int(fd, SOL_SOCKET, SO_RCVBUF);
    if (before == 2 * bytes)
        cr_skip("net.core.rmem_max is above what is tried here");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0 && errno == EPERM)
        cr_skip("needs CAP_NET_ADMIN");
    cr_expect(get_int(fd, SOL_SOCKET, SO_RCVBUF) == 2 * bytes);
    set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes);
    cr_expect(get_int(fd, SOL_SOCKET, SO_SNDBUF) == 2 * bytes);
    close(fd);
}

/* Two numbers of one option */

/* SO_RCVTIMEO_NEW and the number that programs on 64-bit machines use set the same timer. */
Test(facts, both_numbers_of_rcvtimeo_are_one_option)
{
    int fd = open_socket(transport_named("tcp4"));
    struct {
        int64_t seconds;
        int64_t microseconds;
    } wide = {7, 0};
    struct timeval plain;
    socklen_t length = sizeof(plain);

    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO_NEW, &wide, sizeof(wide)) < 0)
        cr_skip("no SO_RCVTIMEO_NEW before Linux 5.1");
    cr_assert(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &plain, &length) == 0);
    cr_expect(plain.tv_sec == 7 && plain.tv_usec == 0);
    close(fd);
}

/* Plain TCP connections to a listener of MPTCP */

/* accept() returns a TCP socket with the options that the listener accepted; the listener refuses
 * options that MPTCP lacks. An MPTCP socket refuses SO_TYPE without reading the value. */
Test(facts, mptcp_listener_accepts_plain_tcp)
{
    const struct transport *mptcp = transport_named("mptcp4");
    int listener, client, accepted, number = 4000;
    if (!transport_exists(mptcp))
        cr_skip("no MPTCP");
    listener = open_socket(mptcp);
    client = open_socket(transport_named("tcp4"));
    set_int(listener, IPPROTO_TCP, TCP_KEEPIDLE, 77);
    set_int(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
    cr_expect(setsockopt(listener, IPPROTO_TCP, TCP_USER_TIMEOUT, &number, sizeof number) < 0);
    cr_expect(setsockopt(listener, SOL_SOCKET, SO_TYPE, NULL, sizeof number) < 0 &&
              errno == EOPNOTSUPP);
    start_listening(mptcp, listener);
    accepted = join(client, listener);
    cr_expect_eq(get_int(listener, SOL_SOCKET, SO_PROTOCOL), IPPROTO_MPTCP);
    cr_expect_eq(get_int(accepted, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    cr_expect_eq(get_int(accepted, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    cr_expect_eq(get_int(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
    set_int(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT, number);
    close(accepted);
    close(client);
    close(listener);
}

/* How the library checks whether memory is readable (preload/readable.c). */
Test(facts, memory_is_read_before_the_call_is_refused)
{
    int fd = open_socket(transport_named("tcp4")), number = 1;
    void *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(setsockopt(fd, SOL_SOCKET, SO_TYPE, &number, sizeof number) < 0);
    cr_expect_eq(errno, ENOPROTOOPT);
    cr_assert(setsockopt(fd, SOL_SOCKET, SO_TYPE, nothing, sizeof number) < 0);
    cr_expect_eq(errno, EFAULT);
    cr_assert(syscall(SYS_rt_sigprocmask, -1L, nothing, NULL, 8L) < 0);
    cr_expect_eq(errno, EFAULT);
    cr_assert(syscall(SYS_rt_sigprocmask, -1L, &(uint64_t){~0u}, NULL, 8L) < 0);
    cr_expect_eq(errno, EINVAL);
    close(fd);
}
