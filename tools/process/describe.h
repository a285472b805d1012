/* SPDX-License-Identifier: MIT */
/*
 * What a socket is, from the socket itself: family, type and protocol, role, state, addresses. It
 * is used on duplicates, so it makes system calls and nothing else.
 */
#ifndef SOCKTUNE_DESCRIBE_H
#define SOCKTUNE_DESCRIBE_H

#include "learn.h"
#include "tcp_info.h"

#include <sys/socket.h>

struct socket_description {
    uint64_t cookie; /* SO_COOKIE: names it in sock_diag; 0: unknown */
    uint64_t netns;  /* SO_NETNS_COOKIE: its network namespace; 0: unknown */
    int domain, type, protocol;
    struct sockinfo sockinfo; /* with its addresses; families is 0 if no rule can be for it */
    struct sockaddr_storage local, remote;
    socklen_t local_length, remote_length; /* 0: there is none */
    bool listens;
    bool connecting; /* in SYN_SENT: description_set_remote() gives its remote address */
    struct tcp_info_bytes tcp_info;
};

/* A connection in SYN_SENT has a remote address that getpeername(2) does not give: take it from
 * elsewhere (process_socket_remote()). */
void description_set_remote(struct socket_description *description,
                            const struct sockaddr_storage *remote, socklen_t length);

/* Ask `fd`. Returns 0, or -1 with errno if it is no socket. */
int describe_socket(int fd, struct socket_description *description);

/* "tcp", "unix-stream" ..., as in rules; for other families "netlink", "vsock" ... or "family N".
 * Static text, or `text`. */
const char *description_protocol(const struct socket_description *description, char text[32]);

/* "connect", "listen", "accept", "datagram"; NULL where it stays open. A listener is the template
 * of what it accepts, but its own role is to listen. */
const char *description_role(const struct socket_description *description);

/* "established", "listen" ... of TCP; "listen", "connected", "unconnected" of others; NULL of
 * families that do not concern rules. */
const char *description_state(const struct socket_description *description);

#endif
