/* SPDX-License-Identifier: MIT */
/*
 * Whether new sockets of this process belong to the network namespace in which it started. Asking
 * each socket would cost a system call. So setns(2) and unshare(2), by which a thread enters
 * another namespace, are hooked, and own_pid.h detects a child of clone(2).
 *
 * For hooks: async-signal-safe, thread-safe; they change errno.
 */
#ifndef SOCKTUNE_OWN_NETNS_H
#define SOCKTUNE_OWN_NETNS_H

#include <stdbool.h>
#include <stdint.h>

/* A thread may have entered another namespace. This is final: own_netns_is() is false from now
 * on. */
void own_netns_leave(void);

/* True if own_netns_leave() was called, or if nothing is tracked (late_state.h). */
bool own_netns_is_left(void);

/* True if `fd`, which this process has just created, belongs to the namespace with this cookie. The
 * first call in each process asks the socket for its namespace. */
bool own_netns_is(uint64_t cookie, int fd);

#endif
