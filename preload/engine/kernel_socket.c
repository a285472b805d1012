/* SPDX-License-Identifier: MIT */
/*
 * The operations that use the kernel.
 */
#include "kernel_socket.h"

#include "compat.h"
#include "kernel.h"

#include <errno.h>

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

static int disconnect_socket(const struct socket_handle *socket)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    return (int)kernel_call(SYS_connect, socket->fd, &nobody, sizeof nobody);
}

static int make_fresh(const struct socket_handle *socket, struct socket_handle *fresh)
{
    int domain = kernel_get_int(socket->fd, SOL_SOCKET, SO_DOMAIN);
    int type = kernel_get_int(socket->fd, SOL_SOCKET, SO_TYPE);
    int protocol = kernel_get_int(socket->fd, SOL_SOCKET, SO_PROTOCOL);
    if (domain < 0 || type < 0 || protocol < 0)
        return -1;
    int fd = (int)kernel_call(SYS_socket, domain, type | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return -1;
    if (kernel_get_cookie(fd, SO_NETNS_COOKIE) != kernel_get_cookie(socket->fd, SO_NETNS_COOKIE)) {
        kernel_close(fd);
        return -1;
    }
    *fresh = (struct socket_handle){.ops = socket->ops, .fd = fd};
    return 0;
}

static void close_fresh(const struct socket_handle *fresh)
{
    kernel_close(fresh->fd);
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
    .disconnect = disconnect_socket,
    .make_fresh = make_fresh,
    .drop = close_fresh,
    .queued = get_queued,
};

static int refuse_disconnect(const struct socket_handle *socket)
{
    (void)socket;
    errno = EPERM;
    return -1;
}

static int refuse_fresh(const struct socket_handle *socket, struct socket_handle *fresh)
{
    (void)fresh;
    return refuse_disconnect(socket);
}

static int refuse_queued(const struct socket_handle *socket, int request,
                         int *bytes) /* NOLINT(readability-non-const-parameter): of the table */
{
    (void)request;
    (void)bytes;
    return refuse_disconnect(socket);
}

const struct socket_ops kernel_confined_ops = {
    .get = get_option,
    .set = set_option,
    .name = get_name,
    .peer = get_peer,
    .bind = bind_address,
    .disconnect = refuse_disconnect,
    .make_fresh = refuse_fresh,
    .drop = close_fresh,
    .queued = refuse_queued,
};
