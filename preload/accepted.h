/* SPDX-License-Identifier: MIT */
/*
 * What accept() and accept4() have in common.
 */
#ifndef SOCKTUNE_ACCEPTED_H
#define SOCKTUNE_ACCEPTED_H

#include "report.h"

#include <netinet/in.h>

/* The state of one call. It lives on the stack of the hook. */
struct accepting {
    const struct sockaddr *address; /* where the call writes the peer's address */
    const socklen_t *length;
    socklen_t room; /* 0: do not read `address` */
    socklen_t own_length;
    struct sockaddr_in6 own;
};

/* accepting_begin() for programs whose sockets are reported. */
void accepting_read(struct accepting *accepting, int listener, struct sockaddr **address,
                    socklen_t **length);

/* Call this before accept(). If the program passes no buffer for the peer's address but the report
 * needs the address, the call gets a buffer of ours. */
static inline void accepting_begin(struct accepting *accepting, int listener,
                                   struct sockaddr **address, socklen_t **length)
{
    accepting->room = 0;
    if (reports(ROLE_ACCEPT))
        accepting_read(accepting, listener, address, length);
}

/* Call this after accept(). Sets on the accepted socket what it does not inherit from its listener,
 * and reports it if a rule says so. Does nothing if accept() failed (fd < 0). Keeps errno;
 * async-signal-safe. */
void tune_accepted(const struct accepting *accepting, int listener, int fd);

#endif
