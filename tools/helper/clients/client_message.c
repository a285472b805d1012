/* SPDX-License-Identifier: MIT */
#include "client_message.h"
#include "deferred_close.h"
#include "descriptor.h"

#include <string.h>
#include <sys/socket.h>

static void take_descriptors(struct client_message *to, struct msghdr *from)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(from); part != NULL; part = CMSG_NXTHDR(from, part)) {
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS ||
            count > REGISTRATION_DESCRIPTORS - to->fd_count) {
            to->more = true;
            continue;
        }
        memcpy(to->fds + to->fd_count, CMSG_DATA(part), count * sizeof(int));
        to->fd_count += (unsigned)count;
    }
}

int client_message_receive(int fd, struct client_message *message)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(REGISTRATION_DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec room = {message->bytes, sizeof message->bytes};
    struct msghdr from = {.msg_iov = &room,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = sizeof control};
    ssize_t length = recvmsg(fd, &from, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    message->fd_count = 0;
    message->more = false;
    if (length < 0)
        return -1;
    message->length = (size_t)length;
    take_descriptors(message, &from);
    if ((from.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        message->more = true;
    return 0;
}

bool client_message_may_block(const struct client_message *message)
{
    for (unsigned i = 0; i < message->fd_count; i++)
        if (!descriptor_closes_soon(message->fds[i], RING_SIZE(RING_SLOTS_MAX)))
            return true;
    return false;
}

void client_message_close(struct client_message *message)
{
    while (message->fd_count > 0)
        deferred_close(message->fds[--message->fd_count]);
}
