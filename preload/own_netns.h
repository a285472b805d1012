/* SPDX-License-Identifier: MIT */
/*
 * Is a socket that this process makes of the network namespace in which it started? A thread enters
 * another one by setns(2) or unshare(2), which are hooked for this, and a child by clone(2), which
 * own_pid.h tells. Asking each socket would cost a system call.
 *
 * For hooks: async-signal-safe, thread-safe; they change errno.
 */
#ifndef SOCKTUNE_OWN_NETNS_H
#define SOCKTUNE_OWN_NETNS_H

#include <stdbool.h>
#include <stdint.h>

/* A thread may have entered another namespace: from now on each socket is asked. Nothing takes that
 * back. */
void own_netns_leave(void);

/* Has one? Also true where nobody watches. */
bool own_netns_is_left(void);

/* Is `fd`, which this process has just made, of the namespace with this cookie? The first time in
 * each process the socket is asked. */
bool own_netns_is(uint64_t cookie, int fd);

#endif
