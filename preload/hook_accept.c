/* SPDX-License-Identifier: MIT */
/*
 * accept(): see accepted.c. A cancellation point and interruptible, as libc's function is.
 */
#include "accepted.h"
#include "real.h"

__attribute__((visibility("default"))) int accept(int fd, struct sockaddr *address,
                                                  socklen_t *length)
{
    struct accepting accepting;
    accepting_begin(&accepting, fd, &address, &length);
    int accepted = real.accept(fd, address, length);
    tune_accepted(&accepting, fd, accepted);
    return accepted;
}
