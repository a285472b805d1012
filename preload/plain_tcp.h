/* SPDX-License-Identifier: MIT */
/*
 * Back from MPTCP to TCP. A rule's `transport = "mptcp"` makes sockets of MPTCP, which refuse some
 * options that those of TCP take (TCP_USER_TIMEOUT). Where the program itself sets such an option,
 * its call must not fail for what the rule did: the socket becomes one of TCP.
 */
#ifndef SOCKTUNE_PLAIN_TCP_H
#define SOCKTUNE_PLAIN_TCP_H

#include "late_state.h"
#include "state.h"

#include <stdbool.h>
#include <sys/socket.h>

/* The program's own setting of an option, which the kernel has refused. */
struct refused_setting {
    int level, optname;
    const void *value;
    socklen_t length;
};

/* Can these rules make sockets of MPTCP? Pure. */
bool plain_tcp_has_transport(const struct rules_in_force *rules);

/* Note that `fd` was made of MPTCP by a rule. Keeps errno. */
void plain_tcp_note(int fd);

/* Has any socket been? The first question. */
static inline bool plain_tcp_concerns_us(void)
{
    return __builtin_expect(
        late_state != NULL && __atomic_load_n(&late_state->transport, __ATOMIC_RELAXED), 0);
}

/*
 * Put a socket of TCP, with the refused option and all else that was set, in the place of `fd`.
 * True: done. False: nothing has changed, since `fd` is not such a socket, or is bound or connected
 * already, or has a duplicate, or is watched by an epoll descriptor, or something that was set
 * cannot be carried over, or the program is confined. A duplicate in another process is not seen.
 * Changes errno. Async-signal-safe.
 */
bool plain_tcp_instead(const struct rules_in_force *rules, int fd,
                       const struct refused_setting *setting);

#endif
