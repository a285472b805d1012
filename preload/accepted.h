/* SPDX-License-Identifier: MIT */
/*
 * What accept() and accept4() have in common.
 */
#ifndef SOCKTUNE_ACCEPTED_H
#define SOCKTUNE_ACCEPTED_H

#include "report.h"

#include <netinet/in.h>

/* One such call; on the stack of the hook. */
struct accepting {
    const struct sockaddr *address; /* where the call writes the peer's address */
    const socklen_t *length;
    socklen_t room; /* 0: what is there is not to be read */
    socklen_t own_length;
    struct sockaddr_in6 own;
};

/* accepting_begin() where sockets are reported. */
void accepting_read(struct accepting *accepting, int listener, struct sockaddr **address,
                    socklen_t **length);

/* Before the call. Where the program does not want the peer's address and a report does, the call
 * gets a buffer of our own. */
static inline void accepting_begin(struct accepting *accepting, int listener,
                                   struct sockaddr **address, socklen_t **length)
{
    accepting->room = 0;
    if (reports(ROLE_ACCEPT))
        accepting_read(accepting, listener, address, length);
}

/* Give a just accepted socket what it does not have from its listener. Does nothing for a failed
 * accept (fd < 0). Keeps errno. Reports it, too, where a rule says so. */
void tune_accepted(const struct accepting *accepting, int listener, int fd);

#endif
