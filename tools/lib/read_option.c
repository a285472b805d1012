/* SPDX-License-Identifier: MIT */
/*
 * Reads and restores options by getsockopt() and setsockopt().
 */
#include "read_option.h"

#include "compat.h"

#include <string.h>
#include <sys/socket.h>

bool option_concerns(const struct option *row, const struct sockinfo *sockinfo)
{
    return row->readable && row->families & sockinfo->families &&
           row->protocols & sockinfo->protocols &&
           (!(sockinfo->known & FACT_ROLE) || row->roles & sockinfo->roles);
}

/* Buffers: the option by which getsockopt() reads each, and the bit of SO_BUF_LOCK that shows
 * whether its size was set. */
static const struct buffer {
    int optname;
    int reads;
    int lock;
} buffers[] = {{SO_RCVBUF, SO_RCVBUF, SOCK_RCVBUF_LOCK},
               {SO_RCVBUFFORCE, SO_RCVBUF, SOCK_RCVBUF_LOCK},
               {SO_SNDBUF, SO_SNDBUF, SOCK_SNDBUF_LOCK},
               {SO_SNDBUFFORCE, SO_SNDBUF, SOCK_SNDBUF_LOCK}};

static const struct buffer *buffer_of(int level, int optname)
{
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        if (level == SOL_SOCKET && buffers[i].optname == optname)
            return &buffers[i];
    return NULL;
}

bool read_option(const struct socket_handle *socket, int level, int optname,
                 const struct option *row, struct value *value, bool *unset)
{
    const struct buffer *buffer = buffer_of(level, optname);
    socklen_t length = sizeof value->bytes, lock_length = sizeof(int);
    int lock;
    *unset = false;
    value->length = 0;
    if (row != NULL && !row->readable && buffer == NULL)
        return false;
    if (socket->ops->get(socket, level, buffer != NULL ? buffer->reads : optname, value->bytes,
                         &length) != 0)
        return false;
    value->length = length;
    if (buffer != NULL &&
        socket->ops->get(socket, SOL_SOCKET, SO_BUF_LOCK, &lock, &lock_length) == 0)
        *unset = !(lock & buffer->lock);
    return true;
}

int restore_option(int fd, int level, int optname, const struct value *value, bool unset)
{
    const struct buffer *buffer = buffer_of(level, optname);
    int size, lock;
    socklen_t length = sizeof lock;
    if (buffer == NULL || value->length != sizeof size)
        return setsockopt(fd, level, optname, value->bytes, value->length);
    memcpy(&size, value->bytes, sizeof size);
    size /= 2;
    if (setsockopt(fd, level, optname, &size, sizeof size) != 0)
        return -1;
    if (!unset)
        return 0;
    if (getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &lock, &length) != 0)
        return -1;
    lock &= ~buffer->lock;
    return setsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &lock, sizeof lock);
}

int option_reads(int level, int optname)
{
    const struct buffer *buffer = buffer_of(level, optname);
    return buffer != NULL ? buffer->reads : optname;
}
