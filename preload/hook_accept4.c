/* SPDX-License-Identifier: MIT */
/*
 * accept4(): see accepted.c. A cancellation point and interruptible, as libc's function is.
 */
#include "accepted.h"
#include "real.h"

__attribute__((visibility("default"))) int accept4(int fd, struct sockaddr *address,
                                                   socklen_t *length, int flags)
{
    int accepted = real.accept4(fd, address, length, flags);
    tune_accepted(fd, accepted);
    return accepted;
}
