/* SPDX-License-Identifier: MIT */
/*
 * The receiver: a process of the helper's own that accepts clients and takes descriptors out of
 * their messages.
 *
 * A descriptor that somebody passed is dangerous before anybody knows what it is: close() of a file
 * of a FUSE server that does not answer never returns, and the process that called it cannot even
 * be killed. So the helper itself never holds one. The receiver finds out what it is by calls that
 * cannot block (descriptor.h), passes on what is safe (parcel.h), reads a handed-over connection
 * and closes it at once; and where it got something that may block, it tells so and ends, whereby
 * the kernel closes everything, that last. It may hang in this for ever: the guard, its parent, has
 * started another one by then.
 *
 *   client --message--> receiver --parcel--> helper
 *                          ^
 *                        guard: starts one after the other; it holds nothing that came from clients
 *
 * What a user may cost: after RECEIVER_STRIKES_MAX receivers that ended so within a minute, or that
 * hang still, the user's messages are refused unread.
 */
#ifndef SOCKTUNE_HELPER_RECEIVER_H
#define SOCKTUNE_HELPER_RECEIVER_H

#include <sys/types.h>

#define RECEIVER_STRIKES_MAX 4u

/* Start guard and receiver. `listening`: a listening SOCK_SEQPACKET Unix socket, which stays the
 * caller's. Returns a SOCK_SEQPACKET socket from which parcels are to be received; -1 with errno.
 * `guard` gets the pid of the guard, which ends with the calling process, or when it is killed.
 * Call before there are threads. */
int receiver_start(int listening, pid_t *guard);

#endif
