/* SPDX-License-Identifier: MIT */
/*
 * Sockets on the loopback; see sockets.h.
 */
#include "sockets.h"

#include "compat.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

const struct transport transports[] = {
    {"tcp4", AF_INET, SOCK_STREAM, 0, FAMILY_INET, PROTOCOL_TCP},
    {"tcp6", AF_INET6, SOCK_STREAM, 0, FAMILY_INET6, PROTOCOL_TCP},
    {"mptcp4", AF_INET, SOCK_STREAM, IPPROTO_MPTCP, FAMILY_INET, PROTOCOL_MPTCP},
    {"mptcp6", AF_INET6, SOCK_STREAM, IPPROTO_MPTCP, FAMILY_INET6, PROTOCOL_MPTCP},
    {"udp4", AF_INET, SOCK_DGRAM, 0, FAMILY_INET, PROTOCOL_UDP},
    {"udp6", AF_INET6, SOCK_DGRAM, 0, FAMILY_INET6, PROTOCOL_UDP},
    {"unix stream", AF_UNIX, SOCK_STREAM, 0, FAMILY_UNIX, PROTOCOL_UNIX_STREAM},
    {"unix datagram", AF_UNIX, SOCK_DGRAM, 0, FAMILY_UNIX, PROTOCOL_UNIX_DGRAM},
    {NULL, 0, 0, 0, 0, 0},
};

const struct transport *transport_named(const char *name)
{
    for (const struct transport *transport = transports; transport->name != NULL; transport++)
        if (strcmp(transport->name, name) == 0)
            return transport;
    cr_assert_fail("no transport \"%s\"", name);
    return NULL;
}

bool is_stream(const struct transport *transport)
{
    return transport->type == SOCK_STREAM;
}

bool transport_exists(const struct transport *transport)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(transport->domain, transport->type | SOCK_CLOEXEC, transport->protocol);
    bool usable = fd >= 0;
    if (usable && transport->domain == AF_INET6)
        usable = bind(fd, (struct sockaddr *)&loopback, sizeof(loopback)) == 0;
    if (fd >= 0)
        close(fd);
    return usable;
}

int open_socket(const struct transport *transport)
{
    int fd = socket(transport->domain, transport->type | SOCK_CLOEXEC, transport->protocol);
    cr_assert(fd >= 0, "%s: socket: %s", transport->name, strerror(errno));
    return fd;
}

void bind_any(const struct transport *transport, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } address = {.any.sa_family = (sa_family_t)transport->domain};
    socklen_t length = sizeof(sa_family_t); /* AF_UNIX: the kernel chooses an abstract name */

    if (transport->domain == AF_INET) {
        address.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        length = sizeof(address.in);
    } else if (transport->domain == AF_INET6) {
        address.in6.sin6_addr = in6addr_loopback;
        length = sizeof(address.in6);
    }
    cr_assert(bind(fd, &address.any, length) == 0, "%s: bind: %s", transport->name,
              strerror(errno));
}

void start_listening(const struct transport *transport, int fd)
{
    bind_any(transport, fd);
    cr_assert(listen(fd, 8) == 0, "%s: listen: %s", transport->name, strerror(errno));
}

socklen_t address_of(int listener, struct sockaddr_storage *address)
{
    socklen_t length = sizeof(*address);
    memset(address, 0, sizeof(*address));
    cr_assert(getsockname(listener, (struct sockaddr *)address, &length) == 0, "getsockname: %s",
              strerror(errno));
    return length;
}

void await(int fd, short events)
{
    struct pollfd poller = {.fd = fd, .events = events};
    cr_assert(poll(&poller, 1, 5000) == 1, "nothing happened on a socket within 5 s");
}

int join(int client, int listener)
{
    struct sockaddr_storage address;
    socklen_t length = address_of(listener, &address);
    int accepted;
    cr_assert(connect(client, (struct sockaddr *)&address, length) == 0, "connect: %s",
              strerror(errno));
    await(listener, POLLIN);
    accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    cr_assert(accepted >= 0, "accept4: %s", strerror(errno));
    return accepted;
}

void open_pair(const struct transport *transport, int pair[2])
{
    int listener = open_socket(transport);
    start_listening(transport, listener);
    pair[0] = open_socket(transport);
    pair[1] = join(pair[0], listener);
    close(listener);
}

int get_int(int fd, int level, int optname)
{
    int number = 0;
    socklen_t length = sizeof(number);
    cr_assert(getsockopt(fd, level, optname, &number, &length) == 0, "getsockopt %d/%d: %s", level,
              optname, strerror(errno));
    return number;
}

void set_int(int fd, int level, int optname, int number)
{
    cr_assert(setsockopt(fd, level, optname, &number, sizeof(number)) == 0,
              "setsockopt %d/%d = %d: %s", level, optname, number, strerror(errno));
}
