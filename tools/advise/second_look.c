/* SPDX-License-Identifier: MIT */
/*
 * Calls getsockopt(2) on duplicates.
 */
#include "second_look.h"
#include "compat.h"
#include "duplicate.h"
#include "process_list.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif
#define SNDBUF_LOCK 1
#define RCVBUF_LOCK 2

static int by_inode(const void *left, const void *right)
{
    uint64_t a = ((const struct advise_look *)left)->inode;
    uint64_t b = ((const struct advise_look *)right)->inode;
    return (a > b) - (a < b);
}

static int ask_option(int fd, int level, int name)
{
    int value = 0;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) == 0 ? value : 0;
}

static void ask_socket(int fd, struct advise_options *options)
{
    int locks = ask_option(fd, SOL_SOCKET, SO_BUF_LOCK);
    *options = (struct advise_options){
        .known = true,
        .nodelay = ask_option(fd, IPPROTO_TCP, TCP_NODELAY) != 0,
        .cork = ask_option(fd, IPPROTO_TCP, TCP_CORK) != 0,
        .keepalive = ask_option(fd, SOL_SOCKET, SO_KEEPALIVE) != 0,
        .receive_locked = (locks & RCVBUF_LOCK) != 0,
        .send_locked = (locks & SNDBUF_LOCK) != 0,
        .user_timeout = (uint32_t)ask_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT),
    };
}

static void look_at_process(const struct socket_owner *owner, const struct open_sockets *open,
                            struct advise_look *looks, size_t count)
{
    for (size_t i = 0, descriptors; i < open->count; i += descriptors) {
        const struct advise_look wanted = {.inode = open->items[i].inode};
        struct advise_look *look;
        struct advise_options options;
        int fd;
        descriptors = descriptors_of_one(open, i);
        look = bsearch(&wanted, looks, count, sizeof *looks, by_inode);
        if (look == NULL)
            continue;
        fd = socket_duplicate(owner, &open->items[i], descriptors);
        if (fd < 0)
            continue;
        ask_socket(fd, &options);
        close(fd);
        *look->options = options;
    }
}

void second_look(pid_t pid, struct advise_look *looks, size_t count)
{
    struct socket_owner owner;
    struct open_sockets open;
    if (count == 0 || socket_owner_open(pid, &owner) != 0)
        return;
    qsort(looks, count, sizeof *looks, by_inode);
    if (open_sockets_read(pid, &open) == 0)
        look_at_process(&owner, &open, looks, count);
    open_sockets_free(&open);
    socket_owner_close(&owner);
}
