/* SPDX-License-Identifier: MIT */
/*
 * TCP_INFO distinguishes a connecting socket from an accepted one: tcpi_bytes_acked counts the SYN
 * on the side that sent it first, not on the other. So the acknowledged bytes, plus the bytes in
 * flight (SIOCOUTQ - SIOCOUTQNSD), minus the bytes sent for the first time, are
 *
 *     1 on the connecting side, 0 on the accepting one, and 1 more once the own FIN was sent,
 *
 * whatever data was sent, lost, or is waiting. If nothing is unacknowledged (tcpi_unacked is 0),
 * TCP_INFO alone is enough. This holds only for TCP: for MPTCP the two ioctls count the
 * connection's queue, TCP_INFO the bytes of its first subflow.
 */
#include "sockets.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CONNECTING 1
#define ACCEPTING  0
#define FIN_SENT   1

#define BLOCK 65536

/* States of <netinet/tcp.h>, which cannot be included together with <linux/tcp.h>. */
#define STATE_FIN_WAIT2  5
#define STATE_CLOSE_WAIT 8

static struct tcp_info read_info(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof(info);
    cr_assert(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0, "TCP_INFO: %s",
              strerror(errno));
    if (length < offsetof(struct tcp_info, tcpi_dsack_dups))
        cr_skip("tcp_info has no tcpi_bytes_sent before Linux 4.19");
    return info;
}

/* The sequence numbers acknowledged or in flight that are not data: SYN and FIN. Repeated while the
 * connection is active, so that the three readings are consistent. */
static long long not_data(int fd)
{
    for (int attempt = 0; attempt < 1000; attempt++) {
        struct tcp_info info = read_info(fd), after;
        int queued = 0, unsent = 0;
        cr_assert(ioctl(fd, SIOCOUTQ, &queued) == 0 && ioctl(fd, SIOCOUTQNSD, &unsent) == 0);
        after = read_info(fd);
        if (info.tcpi_bytes_acked == after.tcpi_bytes_acked &&
            info.tcpi_bytes_sent == after.tcpi_bytes_sent &&
            info.tcpi_bytes_retrans == after.tcpi_bytes_retrans)
            return (long long)info.tcpi_bytes_acked + queued - unsent -
                   (long long)(info.tcpi_bytes_sent - info.tcpi_bytes_retrans);
    }
    cr_assert_fail("the connection never stood still");
    return -1;
}

static void expect_sides(const int pair[2], int connecting, int accepting, const char *when)
{
    cr_expect(not_data(pair[0]) == connecting, "%s: the connecting side shows %lld", when,
              not_data(pair[0]));
    cr_expect(not_data(pair[1]) == accepting, "%s: the accepting side shows %lld", when,
              not_data(pair[1]));
}

static void send_all(int fd, size_t length)
{
    static const char block[BLOCK];
    cr_assert(length <= sizeof(block));
    cr_assert(send(fd, block, length, MSG_NOSIGNAL) == (ssize_t)length, "send: %s",
              strerror(errno));
}

/* Fill the connection until nothing more can be queued. */
static void fill(int fd)
{
    static const char block[BLOCK];
    while (send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
    cr_assert(errno == EAGAIN, "send: %s", strerror(errno));
}

/* Read until `sender` has nothing unacknowledged. */
static void drain(int reader, int sender)
{
    static char block[BLOCK];
    for (int idle = 0; idle < 5000; idle++) {
        int queued = 0;
        while (recv(reader, block, sizeof(block), MSG_DONTWAIT) > 0)
            idle = 0;
        cr_assert(ioctl(sender, SIOCOUTQ, &queued) == 0);
        if (queued == 0)
            return;
        usleep(1000);
    }
    cr_assert_fail("data does not arrive");
}

static void await_state(int fd, unsigned state)
{
    for (int attempt = 0; attempt < 5000; attempt++) {
        if (read_info(fd).tcpi_state == state)
            return;
        usleep(1000);
    }
    cr_assert_fail("the connection does not reach state %u", state);
}

#define BOTH_VERSIONS(test)                                                                        \
    static void tcp_info_##test(const struct transport *tcp);                                      \
    Test(tcp_info, test)                                                                           \
    {                                                                                              \
        tcp_info_##test(transport_named("tcp4"));                                                  \
        if (!transport_exists(transport_named("tcp6")))                                            \
            cr_skip("no tcp6");                                                                    \
        tcp_info_##test(transport_named("tcp6"));                                                  \
    }                                                                                              \
    static void tcp_info_##test(const struct transport *tcp)

BOTH_VERSIONS(tells_the_sides_apart)
{
    int pair[2];
    open_pair(tcp, pair);
    expect_sides(pair, CONNECTING, ACCEPTING, "just established");
    cr_expect(read_info(pair[0]).tcpi_bytes_acked == CONNECTING);
    cr_expect(read_info(pair[1]).tcpi_bytes_acked == ACCEPTING);
    send_all(pair[0], 1000);
    send_all(pair[1], 2000);
    expect_sides(pair, CONNECTING, ACCEPTING, "after some data");
    fill(pair[0]);
    fill(pair[1]);
    expect_sides(pair, CONNECTING, ACCEPTING, "with full queues");
    drain(pair[1], pair[0]);
    drain(pair[0], pair[1]);
    expect_sides(pair, CONNECTING, ACCEPTING, "with all acknowledged");
    set_int(pair[0], IPPROTO_TCP, TCP_CORK, 1);
    send_all(pair[0], 100);
    expect_sides(pair, CONNECTING, ACCEPTING, "with data held back");
    close(pair[0]);
    close(pair[1]);
}

BOTH_VERSIONS(counts_the_own_fin)
{
    int pair[2];
    open_pair(tcp, pair);
    send_all(pair[0], 1000);
    shutdown(pair[0], SHUT_WR);
    expect_sides(pair, CONNECTING + FIN_SENT, ACCEPTING, "connecting side shut down");
    await_state(pair[0], STATE_FIN_WAIT2);
    await_state(pair[1], STATE_CLOSE_WAIT);
    send_all(pair[1], 500);
    expect_sides(pair, CONNECTING + FIN_SENT, ACCEPTING, "half closed");
    close(pair[0]);
    close(pair[1]);

    open_pair(tcp, pair);
    shutdown(pair[1], SHUT_WR);
    await_state(pair[1], STATE_FIN_WAIT2);
    expect_sides(pair, CONNECTING, ACCEPTING + FIN_SENT, "accepting side shut down");
    close(pair[0]);
    close(pair[1]);
}

BOTH_VERSIONS(tells_after_nonblocking_connect)
{
    struct sockaddr_storage address;
    socklen_t length;
    int listener, client;
    listener = open_socket(tcp);
    client = open_socket(tcp);
    start_listening(tcp, listener);
    length = address_of(listener, &address);
    cr_assert(fcntl(client, F_SETFL, O_NONBLOCK) == 0);
    cr_assert(connect(client, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS);
    await(client, POLLOUT);
    cr_expect(not_data(client) == CONNECTING);
    close(client);
    close(listener);
}

/* The rest of this file is meaningless if the kernel's tcp_info has another layout. */
Test(tcp_info, fields_lie_where_they_are_read)
{
    cr_expect(offsetof(struct tcp_info, tcpi_bytes_acked) == 120);
    cr_expect(offsetof(struct tcp_info, tcpi_bytes_sent) == 200);
    cr_expect(offsetof(struct tcp_info, tcpi_bytes_retrans) == 208);
}
