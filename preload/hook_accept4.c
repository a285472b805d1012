/* SPDX-License-Identifier: MIT */
/*
 * accept4(): see accepted.c. A cancellation point and interruptible, as libc's function is.
 */
#include "accepted.h"
#include "real.h"

__attribute__((visibility("default"))) int accept4(int fd, struct sockaddr *address,
                                                   socklen_t *length, int flags)
{
    struct accepting accepting;
    accepting_begin(&accepting, fd, &address, &length);
    int accepted = real.accept4(fd, address, length, flags);
    tune_accepted(&accepting, fd, accepted);
    return accepted;
}
