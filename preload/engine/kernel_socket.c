/* SPDX-License-Identifier: MIT */
/*
 * The kernel's operations.
 */
#include "kernel_socket.h"

#include "kernel.h"

static int get_option(const struct socket_handle *socket, int level, int optname, void *value,
                      socklen_t *length)
{
    return kernel_getsockopt(socket->fd, level, optname, value, length);
}

static int set_option(const struct socket_handle *socket, int level, int optname, const void *value,
                      socklen_t length)
{
    return kernel_setsockopt(socket->fd, level, optname, value, length);
}

static int get_name(const struct socket_handle *socket, struct sockaddr *address, socklen_t *length)
{
    return (int)kernel_call(SYS_getsockname, socket->fd, address, length);
}

static int get_peer(const struct socket_handle *socket, struct sockaddr *address, socklen_t *length)
{
    return (int)kernel_call(SYS_getpeername, socket->fd, address, length);
}

static int bind_address(const struct socket_handle *socket, const struct sockaddr *address,
                        socklen_t length)
{
    return (int)kernel_call(SYS_bind, socket->fd, address, length);
}

static int get_queued(const struct socket_handle *socket, int request, int *bytes)
{
    return (int)kernel_call(SYS_ioctl, socket->fd, request, bytes);
}

const struct socket_ops kernel_socket_ops = {
    .get = get_option,
    .set = set_option,
    .name = get_name,
    .peer = get_peer,
    .bind = bind_address,
    .queued = get_queued,
};
