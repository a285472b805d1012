/* SPDX-License-Identifier: MIT */
/*
 * sendmmsg(): with MSG_FASTOPEN the first message connects (tcp(7)); see connecting.c. All other
 * calls pass through; such a call may be the first of a UDP socket, which is then reported.
 */
#include "connecting.h"
#include "readable.h"
#include "real.h"

/* noinline: other calls pass through with a small frame. */
static __attribute__((noinline)) int sendmmsg_tuned(int fd, struct mmsghdr *messages,
                                                    unsigned count, int flags)
{
    const struct msghdr *first = &messages->msg_hdr;
    struct connecting connecting;
    if (!connecting_begin(&connecting, fd, first->msg_name, first->msg_namelen))
        return -1;
    int result = real.sendmmsg(fd, messages, count, flags);
    connecting_end(&connecting, fd, result > 0);
    return result;
}

__attribute__((visibility("default"))) int sendmmsg(int fd, struct mmsghdr *messages,
                                                    unsigned count, int flags)
{
    if (__builtin_expect((flags & MSG_FASTOPEN) != 0, 0) && connecting_concerns_us() &&
        count != 0 && readable_memory(fd, messages, sizeof *messages))
        return sendmmsg_tuned(fd, messages, count, flags);
    int result = real.sendmmsg(fd, messages, count, flags);
    if (result > 0 && reports(ROLE_DATAGRAM))
        report_sent(fd);
    return result;
}
