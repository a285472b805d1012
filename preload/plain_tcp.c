/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: a new TCP socket gets what the rules set on TCP sockets. Then each option
 * that MPTCP supports (net/mptcp/sockopt.c) is copied from the old socket. dup3() puts the new
 * socket in place of the old one atomically. That is forbidden if the old socket is used in another
 * way: /proc/self/fd lists duplicates and epoll descriptors, and the fdinfo of an epoll descriptor
 * lists what it watches.
 */
#include "plain_tcp.h"

#include "apply.h"
#include "bytes.h"
#include "compat.h"
#include "descriptors.h"
#include "kernel.h"
#include "own_pid.h"
#include "reconnect.h"
#include "tune.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { VALUE_MAX = 16, SEEN_MAX = 65536 };

static const struct {
    int level;
    int optname;
} carried[] = {
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_REUSEADDR},
    {SOL_SOCKET, SO_REUSEPORT},
    {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_MARK},
    {SOL_SOCKET, SO_LINGER},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_DONTROUTE},
    {SOL_SOCKET, SO_BROADCAST},
    {SOL_SOCKET, SO_RCVLOWAT},
    {SOL_SOCKET, SO_RCVTIMEO},
    {SOL_SOCKET, SO_SNDTIMEO},
    {SOL_SOCKET, SO_TIMESTAMP},
    {SOL_SOCKET, SO_TIMESTAMPNS},
    {SOL_SOCKET, SO_TIMESTAMPING},
    {SOL_SOCKET, SO_MAX_PACING_RATE},
    {SOL_SOCKET, SO_INCOMING_CPU},
    {SOL_SOCKET, SO_BUSY_POLL},
    {SOL_SOCKET, SO_ZEROCOPY},
    {SOL_SOCKET, SO_BINDTOIFINDEX},
    {SOL_SOCKET, SO_SNDBUF},
    {SOL_SOCKET, SO_RCVBUF},
    {IPPROTO_IP, IP_TOS},
    {IPPROTO_IP, IP_TTL},
    {IPPROTO_IP, IP_FREEBIND},
    {IPPROTO_IP, IP_TRANSPARENT},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
    {IPPROTO_IP, 51}, /* IP_LOCAL_PORT_RANGE */
    {IPPROTO_IPV6, IPV6_V6ONLY},
    {IPPROTO_IPV6, IPV6_TCLASS},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {IPPROTO_IPV6, IPV6_FREEBIND},
    {IPPROTO_IPV6, IPV6_TRANSPARENT},
    {IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_MAXSEG},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {IPPROTO_TCP, TCP_FASTOPEN},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT},
    {IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE},
    {IPPROTO_TCP, TCP_INQ},
    {IPPROTO_TCP, TCP_CONGESTION},
};

bool plain_tcp_has_transport(const struct rules_in_force *rules)
{
    for (uint32_t i = 0; i < rules->active.count; i++) {
        const struct policy_rule *rule = &rules->policy.rules[rules->active.rules[i]];
        for (uint32_t a = 0; a < rule->actions.count; a++)
            if (rules->policy.actions[rule->actions.first + a].op == OP_TRANSPORT)
                return true;
    }
    return false;
}

void plain_tcp_note(int fd)
{
    if (late_state == NULL)
        return;
    reconnect_note_transport(fd);
    __atomic_store_n(&late_state->transport, true, __ATOMIC_RELAXED);
}

/* Other users of the socket */

/* State of the search. It is mapped, since a thread's stack may be small. */
struct holder_search {
    int fd;
    struct statx socket;
    bool held;
    size_t size;
    char text[SEEN_MAX];
};

/* True if `fd` is in a "tfd: NUMBER" line of an epoll descriptor's fdinfo. */
static bool is_watched_in(const struct holder_search *search)
{
    static const char name[] = "tfd:";
    const size_t length = sizeof name - 1;
    for (size_t at = 0; at + length < search->size; at++) {
        if (!bytes_equal(search->text + at, name, length))
            continue;
        int number = 0;
        for (at += length; at < search->size && search->text[at] == ' '; at++)
            continue;
        for (; at < search->size && search->text[at] >= '0' && search->text[at] <= '9'; at++)
            number = number * 10 + (search->text[at] - '0');
        if (number == search->fd)
            return true;
    }
    return false;
}

/* True if the epoll descriptor watches the socket, or if that is unknown. */
static bool is_watched_by(struct holder_search *search, int directory, const char *name)
{
    int file = (int)kernel_call(SYS_openat, directory, name, O_RDONLY | O_CLOEXEC);
    long got = -1;
    search->size = 0;
    if (file < 0)
        return true;
    while (search->size < SEEN_MAX &&
           (got = kernel_call(SYS_read, file, search->text + search->size,
                              SEEN_MAX - search->size)) > 0)
        search->size += (size_t)got;
    kernel_close(file);
    return got != 0 || is_watched_in(search);
}

static bool is_same_socket(const struct statx *one, const struct statx *other)
{
    return one->stx_ino == other->stx_ino && one->stx_dev_minor == other->stx_dev_minor &&
           one->stx_dev_major == other->stx_dev_major;
}

static bool examine_descriptor(void *context, int directory, const char *name, int number)
{
    struct holder_search *search = context;
    char target[32] = {0};
    struct statx status;
    (void)directory;
    if (number == search->fd)
        return true;
    if (kernel_statx(number, "", AT_EMPTY_PATH, &status) == 0 &&
        is_same_socket(&status, &search->socket))
        search->held = true;
    kernel_call(SYS_readlinkat, directory, name, target, sizeof target - 1);
    if (bytes_equal(target, "anon_inode:[eventpoll]", 22)) {
        int infos = kernel_open("/proc/self/fdinfo", O_RDONLY | O_DIRECTORY);
        search->held |= infos < 0 || is_watched_by(search, infos, name);
        kernel_close(infos);
    }
    return !search->held;
}

/* True if a duplicate or an epoll descriptor refers to the socket, or if that is unknown. */
static bool is_held_otherwise(int fd)
{
    struct holder_search *search = kernel_map(sizeof *search);
    if (search == NULL)
        return true;
    search->fd = fd;
    bool held = kernel_statx(fd, "", AT_EMPTY_PATH, &search->socket) != 0 ||
                !descriptors_each(examine_descriptor, search) || search->held;
    kernel_call(SYS_munmap, search, sizeof *search);
    return held;
}

/* The new socket */

static bool has_address(int fd)
{
    struct sockaddr_in6 own = {0};
    socklen_t length = sizeof own;
    return kernel_call(SYS_getsockname, fd, &own, &length) != 0 || own.sin6_port != 0;
}

static bool is_fresh_mptcp(int fd)
{
    uint8_t tcp_state = 0; /* the first byte of tcp_info */
    socklen_t length = sizeof tcp_state;
    return kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP && !has_address(fd) &&
           kernel_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &tcp_state, &length) == 0 &&
           tcp_state == TCP_CLOSE;
}

struct option_value {
    uint8_t bytes[VALUE_MAX];
    socklen_t length;
};

static bool get_value(int fd, size_t index, struct option_value *value)
{
    *value = (struct option_value){.length = VALUE_MAX};
    return kernel_getsockopt(fd, carried[index].level, carried[index].optname, value->bytes,
                             &value->length) == 0;
}

static bool is_equal(const struct option_value *one, const struct option_value *other)
{
    return one->length == other->length && bytes_equal(one->bytes, other->bytes, VALUE_MAX);
}

/* The kernel doubles a buffer size that is set, so half of it is set. */
static void set_value(int fd, size_t index, const struct option_value *value)
{
    int number;
    __builtin_memcpy(&number, value->bytes, sizeof number);
    number /= 2;
    bool buffer = carried[index].level == SOL_SOCKET &&
                  (carried[index].optname == SO_SNDBUF || carried[index].optname == SO_RCVBUF);
    kernel_setsockopt(fd, carried[index].level, carried[index].optname,
                      buffer ? (const void *)&number : value->bytes,
                      buffer ? sizeof number : value->length);
}

static bool carry_options(int from, int to)
{
    for (size_t i = 0; i < sizeof carried / sizeof carried[0]; i++) {
        struct option_value old, now;
        if (!get_value(from, i, &old) || !get_value(to, i, &now) || is_equal(&old, &now))
            continue;
        set_value(to, i, &old);
        if (!get_value(to, i, &now) || !is_equal(&old, &now))
            return false;
    }
    return true;
}

static bool carry_flags(int from, int to)
{
    long flags = kernel_call(SYS_fcntl, from, F_GETFL);
    return flags >= 0 && (flags & O_ASYNC) == 0 && kernel_call(SYS_fcntl, to, F_SETFL, flags) == 0;
}

/* Applies what the rules set on a new TCP socket. */
static void tune_as_tcp(const struct rules_in_force *rules, int fd, int domain)
{
    struct sockinfo sockinfo;
    struct decision decision;
    if (!rules_act_at(rules, PHASE_BIT(PHASE_SOCKET)) ||
        !sockinfo_at_socket(&sockinfo, domain, SOCK_STREAM, IPPROTO_TCP))
        return;
    tune_decide(rules, -1, &sockinfo, PHASE_SOCKET, PHASE_BIT(PHASE_SOCKET), &decision);
    tune_apply(rules, fd, &sockinfo, &decision, PHASE_BIT(PHASE_SOCKET));
}

/* Creates the TCP socket; -1 if it cannot be made equal. */
static int make_plain(const struct rules_in_force *rules, int fd,
                      const struct refused_setting *setting)
{
    int domain = kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN);
    int plain = (int)kernel_call(SYS_socket, domain, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (plain < 0)
        return -1;
    tune_as_tcp(rules, plain, domain);
    if (kernel_get_cookie(plain, SO_NETNS_COOKIE) == kernel_get_cookie(fd, SO_NETNS_COOKIE) &&
        carry_options(fd, plain) && carry_flags(fd, plain) &&
        kernel_setsockopt(plain, setting->level, setting->optname, setting->value,
                          setting->length) == 0)
        return plain;
    kernel_close(plain);
    return -1;
}

bool plain_tcp_instead(const struct rules_in_force *rules, int fd,
                       const struct refused_setting *setting)
{
    if (!reconnect_has_transport(fd) || confined_now() || own_pid_is_borrowed() ||
        !is_fresh_mptcp(fd) || is_held_otherwise(fd))
        return false;
    int plain = make_plain(rules, fd, setting);
    if (plain < 0)
        return false;
    long flags = kernel_call(SYS_fcntl, fd, F_GETFD);
    bool done = kernel_call(SYS_dup3, plain, fd, (flags & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0) == fd;
    kernel_close(plain);
    return done;
}
