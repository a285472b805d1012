/* SPDX-License-Identifier: MIT */
/*
 * connect(): see connecting.c. A cancellation point and interruptible, as libc's function is.
 */
#include "connecting.h"
#include "real.h"

/* noinline: other connections pass through with a small frame. */
static __attribute__((noinline)) int connect_tuned(int fd, const struct sockaddr *address,
                                                   socklen_t length)
{
    struct connecting connecting;
    if (!connecting_begin(&connecting, fd, address, length))
        return -1;
    int result = real.connect(fd, address, length);
    connecting_end(&connecting, fd, result == 0);
    return result;
}

__attribute__((visibility("default"))) int connect(int fd, const struct sockaddr *address,
                                                   socklen_t length)
{
    if (connecting_concerns_us())
        return connect_tuned(fd, address, length);
    return real.connect(fd, address, length);
}
