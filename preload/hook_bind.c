/* SPDX-License-Identifier: MIT */
/*
 * bind(): what the kernel takes only before it, and the rules on a datagram socket's own address.
 */
#include "real.h"
#include "tune.h"

__attribute__((visibility("default"))) int bind(int fd, const struct sockaddr *address,
                                                socklen_t length)
{
    struct subject subject;
    if (tunes_at(MOMENT_BIT(MOMENT_BIND)) &&
        subject_at_address(&subject, MOMENT_BIND, address, length))
        tune(fd, &subject, MOMENT_BIND);
    return real.bind(fd, address, length);
}
