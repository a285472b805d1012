/* SPDX-License-Identifier: MIT */
/*
 * sendmsg(): with MSG_FASTOPEN it connects (tcp(7)); see connecting.c. All other calls pass
 * through; such a call may be the first of a UDP socket, which is then reported.
 */
#include "connecting.h"
#include "readable.h"
#include "real.h"

/* noinline: other calls pass through with a small frame. */
static __attribute__((noinline)) ssize_t sendmsg_tuned(int fd, const struct msghdr *message,
                                                       int flags)
{
    struct connecting connecting;
    if (!connecting_begin(&connecting, fd, message->msg_name, message->msg_namelen))
        return -1;
    ssize_t result = real.sendmsg(fd, message, flags);
    connecting_end(&connecting, fd, result >= 0);
    return result;
}

__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *message,
                                                       int flags)
{
    if (__builtin_expect((flags & MSG_FASTOPEN) != 0, 0) && connecting_concerns_us() &&
        readable_memory(fd, message, sizeof *message))
        return sendmsg_tuned(fd, message, flags);
    ssize_t result = real.sendmsg(fd, message, flags);
    if (result >= 0 && reports(ROLE_DATAGRAM))
        report_sent(fd);
    return result;
}
