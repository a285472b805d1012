/* SPDX-License-Identifier: MIT */
/*
 * The operations through which the engine reaches a socket. Two tables exist: the kernel's
 * (kernel_socket.h), for a descriptor of this process, which may be a duplicate of another
 * program's; and that of a socket that exists only in memory, for `socktune explain` and the unit
 * tests (tools/process/fake_socket.h).
 *
 * All operations return like system calls: 0, or -1 with errno.
 */
#ifndef SOCKTUNE_SOCKET_OPS_H
#define SOCKTUNE_SOCKET_OPS_H

#include <sys/socket.h>

struct socket_handle;

struct socket_ops {
    int (*get)(const struct socket_handle *socket, int level, int optname, void *value,
               socklen_t *length);
    int (*set)(const struct socket_handle *socket, int level, int optname, const void *value,
               socklen_t length);
    int (*name)(const struct socket_handle *socket, struct sockaddr *address, socklen_t *length);
    int (*peer)(const struct socket_handle *socket, struct sockaddr *address, socklen_t *length);
    int (*bind)(const struct socket_handle *socket, const struct sockaddr *address,
                socklen_t length);
    /* connect(2) to AF_UNSPEC: removes the peer of a datagram socket. */
    int (*disconnect)(const struct socket_handle *socket);
    /* Create a new socket of the same kind in the same network namespace. Release it with
     * `drop`. */
    int (*make_fresh)(const struct socket_handle *socket, struct socket_handle *fresh);
    void (*drop)(const struct socket_handle *fresh);
    /* ioctl(2) with SIOCOUTQ or SIOCOUTQNSD: bytes in the send queue. */
    int (*queued)(const struct socket_handle *socket, int request, int *bytes);
};

/* A socket and its operations. */
struct socket_handle {
    const struct socket_ops *ops;
    int fd;        /* for messages, and for the kernel's operations; -1: no descriptor */
    void *context; /* for other operations */
};

/* Returns the value of an int option, or -1. */
static inline int socket_get_int(const struct socket_handle *socket, int level, int optname)
{
    int value = -1;
    socklen_t length = sizeof value;
    return socket->ops->get(socket, level, optname, &value, &length) == 0 ? value : -1;
}

#endif
