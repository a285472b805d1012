/* SPDX-License-Identifier: MIT */
/*
 * sendto(): with MSG_FASTOPEN it connects (tcp(7)); see connecting.c. All other calls pass through;
 * such a call may be the first of a UDP socket, which is then reported.
 */
#include "connecting.h"
#include "real.h"

#include <netinet/tcp.h>

/* noinline: other calls pass through with a small frame. */
static __attribute__((noinline)) ssize_t sendto_tuned(int fd, const void *buffer, size_t size,
                                                      int flags, const struct sockaddr *address,
                                                      socklen_t length)
{
    struct connecting connecting;
    if (!connecting_begin(&connecting, fd, address, length))
        return -1;
    ssize_t result = real.sendto(fd, buffer, size, flags, address, length);
    connecting_end(&connecting, fd, result >= 0);
    return result;
}

__attribute__((visibility("default"))) ssize_t sendto(int fd, const void *buffer, size_t size,
                                                      int flags, const struct sockaddr *address,
                                                      socklen_t length)
{
    if (__builtin_expect((flags & MSG_FASTOPEN) != 0, 0) && connecting_concerns_us())
        return sendto_tuned(fd, buffer, size, flags, address, length);
    ssize_t result = real.sendto(fd, buffer, size, flags, address, length);
    if (result >= 0 && reports(ROLE_DATAGRAM))
        report_sent(fd);
    return result;
}
