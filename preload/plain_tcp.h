/* SPDX-License-Identifier: MIT */
/*
 * Replaces an MPTCP socket by a TCP socket. A rule's `transport = "mptcp"` creates MPTCP sockets,
 * which refuse some options that TCP sockets take (TCP_USER_TIMEOUT). If the program itself sets
 * such an option, its call must not fail because of the rule. So the socket is replaced by a TCP
 * socket.
 */
#ifndef SOCKTUNE_PLAIN_TCP_H
#define SOCKTUNE_PLAIN_TCP_H

#include "late_state.h"
#include "state.h"

#include <stdbool.h>
#include <sys/socket.h>

/* A setsockopt() call of the program that the kernel has refused. */
struct refused_setting {
    int level, optname;
    const void *value;
    socklen_t length;
};

/* True if these rules can create MPTCP sockets. Pure. */
bool plain_tcp_has_transport(const struct rules_in_force *rules);

/* Note that a rule created `fd` as an MPTCP socket. Keeps errno. */
void plain_tcp_note(int fd);

/* The hooks' first question: has a rule created any MPTCP socket? */
static inline bool plain_tcp_concerns_us(void)
{
    return __builtin_expect(
        late_state != NULL && __atomic_load_n(&late_state->transport, __ATOMIC_RELAXED), 0);
}

/*
 * Replace `fd` by a TCP socket with all options that were set, and with the refused one. True if
 * done. False if nothing has changed: `fd` is no such socket, it is bound or connected, it has a
 * duplicate in this process, an epoll descriptor watches it, an option cannot be copied, or a
 * seccomp filter is active. A duplicate in another process is not detected. Changes errno.
 * Async-signal-safe.
 */
bool plain_tcp_instead(const struct rules_in_force *rules, int fd,
                       const struct refused_setting *setting);

#endif
