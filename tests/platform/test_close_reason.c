/* SPDX-License-Identifier: MIT */
/*
 * How connections end: each kind of end is produced, and close_reason_of() must derive it from the
 * kernel's last figures. A silent peer has a socket filter that drops all that arrives.
 */
#include "close_reason.h"
#include "compat.h"
#include "sock_diag.h"
#include "sockets.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum side { CONNECTED, ACCEPTED, SIDES };

/* Two sockets, and the kernel's last figures of each. */
struct watch {
    struct sock_diag *diag;
    int fd[SIDES];
    uint64_t cookie[SIDES];
    bool told[SIDES];
    struct tcp_info_bytes last[SIDES];
    uint32_t unacknowledged[SIDES];
};

static void take(void *context, const struct sock_diag_answer *answer)
{
    struct watch *watch = context;
    for (int side = 0; side < SIDES; side++) {
        if (answer->event != SOCK_DIAG_DESTROYED || answer->target.cookie != watch->cookie[side])
            continue;
        watch->told[side] = true;
        watch->unacknowledged[side] = answer->send_queue;
        watch->last[side].length = answer->info_length;
        memcpy(watch->last[side].bytes, answer->info, answer->info_length);
    }
}

static void watch_socket(struct watch *watch, enum side side, int fd)
{
    socklen_t length = sizeof watch->cookie[side];
    watch->fd[side] = fd;
    cr_assert(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &watch->cookie[side], &length) == 0);
}

static void begin(struct watch *watch)
{
    memset(watch, 0, sizeof *watch);
    watch->diag = sock_diag_open(sock_diag_socket(), take, watch);
    cr_assert_not_null(watch->diag, "sock_diag: %s", strerror(errno));
}

static void begin_pair(struct watch *watch, const struct transport *tcp)
{
    int pair[SIDES];
    begin(watch);
    open_pair(tcp, pair);
    watch_socket(watch, CONNECTED, pair[CONNECTED]);
    watch_socket(watch, ACCEPTED, pair[ACCEPTED]);
}

static void close_side(struct watch *watch, enum side side)
{
    close(watch->fd[side]);
}

/* Wait for the event of the end of that side. */
static void await_word(struct watch *watch, enum side side)
{
    struct pollfd poller = {.fd = sock_diag_fd(watch->diag), .events = POLLIN};
    for (int i = 0; i < 2000 && !watch->told[side]; i++) {
        (void)poll(&poller, 1, 10);
        cr_assert(sock_diag_read(watch->diag, 1000) == 0);
    }
    cr_assert(watch->told[side], "no word of the socket's end");
}

/* `sample`: the last sample before the end. */
static void expect_after(struct watch *watch, enum side side, const struct tcp_info_bytes *sample,
                         enum close_reason expected)
{
    enum close_reason reason;
    await_word(watch, side);
    reason =
        close_reason_of(side == CONNECTED, &watch->last[side], watch->unacknowledged[side], sample);
    cr_expect(reason == expected, "%s side: %s, not %s",
              side == CONNECTED ? "connected" : "accepted", close_reason_name(reason),
              close_reason_name(expected));
}

/* No sample was taken before the end. */
static void expect(struct watch *watch, enum side side, enum close_reason expected)
{
    static const struct tcp_info_bytes none;
    expect_after(watch, side, &none, expected);
}

static uint64_t last_figure(const struct watch *watch, enum side side, const char *name)
{
    uint64_t number = 0;
    cr_assert(tcp_info_get(tcp_info_find(name), &watch->last[side], &number) == TCP_INFO_VALUE);
    return number;
}

static void set_linger_0(int fd)
{
    struct linger linger = {.l_onoff = 1};
    cr_assert(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
}

/* Drop whatever arrives, before TCP sees it. */
static void fall_silent(int fd)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop};
    cr_assert(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
}

static void send_bytes(int fd, size_t length)
{
    static const char bytes[100];
    cr_assert(send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length, "send: %s",
              strerror(errno));
}

static void await_error(int fd, int error)
{
    await(fd, POLLERR);
    cr_expect(get_int(fd, SOL_SOCKET, SO_ERROR) == error);
}

static const struct transport *version(const char *name)
{
    const struct transport *tcp = transport_named(name);
    if (!transport_exists(tcp))
        cr_skip("no %s", name);
    return tcp;
}

#define BOTH_VERSIONS(test)                                                                        \
    static void reason_##test(const char *name);                                                   \
    Test(reason, test)                                                                             \
    {                                                                                              \
        reason_##test("tcp4");                                                                     \
        reason_##test("tcp6");                                                                     \
    }                                                                                              \
    static void reason_##test(const char *name)

/* Both have sent data; `first` closes first, with no unread data. */
static void close_in_order(struct watch *watch, enum side first)
{
    enum side second = first == CONNECTED ? ACCEPTED : CONNECTED;
    char bytes[100];
    for (int side = 0; side < SIDES; side++)
        send_bytes(watch->fd[side], sizeof bytes);
    for (int side = 0; side < SIDES; side++)
        cr_assert(recv(watch->fd[side], bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes);
    close_side(watch, first);
    cr_expect(recv(watch->fd[second], bytes, sizeof bytes, 0) == 0);
    close_side(watch, second);
}

BOTH_VERSIONS(closed_in_order)
{
    for (int first = 0; first < SIDES; first++) {
        struct watch watch;
        begin_pair(&watch, version(name));
        close_in_order(&watch, (enum side)first);
        expect(&watch, CONNECTED, CLOSE_FIN);
        expect(&watch, ACCEPTED, CLOSE_FIN);
        sock_diag_close(watch.diag);
    }
}

/* No data was sent, and the second side closes without reading the first one's FIN. */
BOTH_VERSIONS(closed_unused)
{
    struct watch watch;
    begin_pair(&watch, version(name));
    close_side(&watch, ACCEPTED);
    close_side(&watch, CONNECTED);
    expect(&watch, CONNECTED, CLOSE_FIN);
    expect(&watch, ACCEPTED, CLOSE_FIN);
    sock_diag_close(watch.diag);
}

/* A program that closes with unread data sends a reset, as RFC 2525 recommends. */
BOTH_VERSIONS(closed_with_data_unread)
{
    struct watch watch;
    begin_pair(&watch, version(name));
    send_bytes(watch.fd[CONNECTED], 10);
    await(watch.fd[ACCEPTED], POLLIN);
    close_side(&watch, ACCEPTED);
    await_error(watch.fd[CONNECTED], ECONNRESET);
    close_side(&watch, CONNECTED);
    expect(&watch, CONNECTED, CLOSE_RESET);
    expect(&watch, ACCEPTED, CLOSE_RESET);
    sock_diag_close(watch.diag);
}

/* Data is sent after the peer has closed, so it does not arrive. */
BOTH_VERSIONS(sent_after_the_peer_closed)
{
    struct watch watch;
    char byte;
    begin_pair(&watch, version(name));
    close_side(&watch, ACCEPTED);
    cr_expect(recv(watch.fd[CONNECTED], &byte, 1, 0) == 0);
    send_bytes(watch.fd[CONNECTED], 10);
    await_error(watch.fd[CONNECTED], EPIPE);
    close_side(&watch, CONNECTED);
    expect(&watch, CONNECTED, CLOSE_RESET);
    expect(&watch, ACCEPTED, CLOSE_FIN);
    sock_diag_close(watch.diag);
}

/* SO_LINGER with 0 resets the connection and clears the figures of its side, so nothing was
 * sent. */
BOTH_VERSIONS(aborted)
{
    struct watch watch;
    begin_pair(&watch, version(name));
    send_bytes(watch.fd[CONNECTED], 10);
    set_linger_0(watch.fd[CONNECTED]);
    close_side(&watch, CONNECTED);
    await_error(watch.fd[ACCEPTED], ECONNRESET);
    close_side(&watch, ACCEPTED);
    expect(&watch, ACCEPTED, CLOSE_RESET);
    await_word(&watch, CONNECTED);
    cr_expect(last_figure(&watch, CONNECTED, "segs_out") == 0);
    cr_expect(last_figure(&watch, CONNECTED, "segs_in") == 0);
    sock_diag_close(watch.diag);
}

/* A non-blocking connect() to the address of `listener`. */
static void begin_connect(struct watch *watch, const struct transport *tcp, int listener)
{
    struct sockaddr_storage address;
    socklen_t length = address_of(listener, &address);
    int client = open_socket(tcp);
    watch_socket(watch, CONNECTED, client);
    cr_assert(fcntl(client, F_SETFL, O_NONBLOCK) == 0);
    (void)connect(client, (struct sockaddr *)&address, length);
}

BOTH_VERSIONS(refused)
{
    const struct transport *tcp = version(name);
    struct watch watch;
    int nobody = open_socket(tcp);
    begin(&watch);
    bind_any(tcp, nobody);
    begin_connect(&watch, tcp, nobody);
    await_error(watch.fd[CONNECTED], ECONNREFUSED);
    close_side(&watch, CONNECTED);
    expect(&watch, CONNECTED, CLOSE_REFUSED);
    close(nobody);
    sock_diag_close(watch.diag);
}

/* The listener receives nothing, and the program gives up. */
BOTH_VERSIONS(unanswered)
{
    const struct transport *tcp = version(name);
    struct watch watch;
    int listener = open_socket(tcp);
    begin(&watch);
    start_listening(tcp, listener);
    fall_silent(listener);
    begin_connect(&watch, tcp, listener);
    close_side(&watch, CONNECTED);
    expect(&watch, CONNECTED, CLOSE_UNANSWERED);
    close(listener);
    sock_diag_close(watch.diag);
}

static const struct transport *tcp4(void)
{
    return transport_named("tcp4");
}

/* Data is retransmitted; TCP_USER_TIMEOUT ends that as tcp_retries2 would, but sooner. */
Test(reason, data_unanswered)
{
    struct watch watch;
    begin_pair(&watch, tcp4());
    set_int(watch.fd[CONNECTED], IPPROTO_TCP, TCP_USER_TIMEOUT, 500);
    fall_silent(watch.fd[ACCEPTED]);
    send_bytes(watch.fd[CONNECTED], 10);
    await_error(watch.fd[CONNECTED], ETIMEDOUT);
    close_side(&watch, CONNECTED);
    expect(&watch, CONNECTED, CLOSE_TIMEOUT);
    cr_expect(last_figure(&watch, CONNECTED, "retransmits") > 0);
    close_side(&watch, ACCEPTED);
    sock_diag_close(watch.diag);
}

/* The FIN of a socket that the program has closed is retransmitted in the same way. */
Test(reason, fin_unanswered)
{
    struct watch watch;
    begin_pair(&watch, tcp4());
    set_int(watch.fd[CONNECTED], IPPROTO_TCP, TCP_USER_TIMEOUT, 500);
    fall_silent(watch.fd[ACCEPTED]);
    close_side(&watch, CONNECTED);
    expect(&watch, CONNECTED, CLOSE_TIMEOUT);
    close_side(&watch, ACCEPTED);
    sock_diag_close(watch.diag);
}

Test(reason, keepalive_unanswered)
{
    struct watch watch;
    begin_pair(&watch, tcp4());
    set_int(watch.fd[CONNECTED], SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(watch.fd[CONNECTED], IPPROTO_TCP, TCP_KEEPIDLE, 1);
    set_int(watch.fd[CONNECTED], IPPROTO_TCP, TCP_KEEPINTVL, 1);
    set_int(watch.fd[CONNECTED], IPPROTO_TCP, TCP_KEEPCNT, 1);
    fall_silent(watch.fd[ACCEPTED]);
    await_error(watch.fd[CONNECTED], ETIMEDOUT);
    close_side(&watch, CONNECTED);
    expect(&watch, CONNECTED, CLOSE_TIMEOUT);
    cr_expect(last_figure(&watch, CONNECTED, "probes") == 1);
    cr_expect(last_figure(&watch, CONNECTED, "retransmits") == 0);
    close_side(&watch, ACCEPTED);
    sock_diag_close(watch.diag);
}

/* The peer sends only a reset after the silence; a sample taken during the silence shows that. */
Test(reason, reset_after_silence)
{
    struct watch watch;
    struct tcp_info_bytes sample;
    uint64_t repeats = 0;
    begin_pair(&watch, tcp4());
    fall_silent(watch.fd[ACCEPTED]);
    send_bytes(watch.fd[CONNECTED], 10);
    for (int i = 0; i < 500 && repeats == 0; i++) {
        usleep(10000);
        cr_assert(tcp_info_read(watch.fd[CONNECTED], &sample) == 0);
        (void)tcp_info_get(tcp_info_find("retransmits"), &sample, &repeats);
    }
    cr_assert(repeats > 0);
    set_linger_0(watch.fd[ACCEPTED]);
    close_side(&watch, ACCEPTED);
    await_error(watch.fd[CONNECTED], ECONNRESET);
    close_side(&watch, CONNECTED);
    expect_after(&watch, CONNECTED, &sample, CLOSE_RESET);
    expect(&watch, CONNECTED, CLOSE_TIMEOUT);
    sock_diag_close(watch.diag);
}

/* In a network namespace of the test, make a loopback queue that drops packets. */
static void make_narrow_loopback(void)
{
    if (unshare(CLONE_NEWNET) != 0)
        cr_skip("a network namespace needs root");
    if (system("ip link set lo up mtu 1500 && "
               "tc qdisc add dev lo root tbf rate 20mbit burst 3000 limit 6000 2>&1") != 0)
        cr_skip("no token bucket filter");
}

/* Packets dropped on this host are counted as sent twice: the end cannot be proved, and must not be
 * invented. */
Test(reason, with_drops_on_this_host)
{
    static char block[100000];
    struct watch watch;
    ssize_t sent;
    make_narrow_loopback();
    begin_pair(&watch, tcp4());
    cr_assert(fcntl(watch.fd[ACCEPTED], F_SETFL, O_NONBLOCK) == 0);
    sent = send(watch.fd[CONNECTED], block, sizeof block, 0);
    close_side(&watch, CONNECTED);
    for (ssize_t got = 0, now = 1; now != 0; got += now > 0 ? now : 0) {
        await(watch.fd[ACCEPTED], POLLIN);
        now = recv(watch.fd[ACCEPTED], block, sizeof block, 0);
        cr_assert(now != 0 || got == sent, "%zd of %zd arrived", got, sent);
    }
    expect(&watch, CONNECTED, CLOSE_UNKNOWN);
    cr_expect(watch.unacknowledged[CONNECTED] == 0);
    close_side(&watch, ACCEPTED);
    expect(&watch, ACCEPTED, CLOSE_FIN);
    sock_diag_close(watch.diag);
}
