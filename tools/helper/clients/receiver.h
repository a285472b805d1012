/* SPDX-License-Identifier: MIT */
/*
 * The receiver: a separate process of the helper that accepts clients and takes descriptors out of
 * their messages.
 *
 * A descriptor from another process is dangerous until its type is known: close() of a file of a
 * FUSE server that does not answer never returns, and the process that called it cannot even be
 * killed. So the helper itself never holds one. The receiver finds the type by calls that cannot
 * block (descriptor.h), and passes on what is safe (parcel.h). It reads a handed-over connection
 * and closes it at once. If it got a descriptor that may block, it reports that and ends; then the
 * kernel closes everything, that descriptor last. The process may hang in this for ever, but the
 * guard, its parent, starts another receiver.
 *
 *   client --message--> receiver --parcel--> helper
 *                          ^
 *                        guard: starts one after the other; it holds no descriptor from clients
 *
 * Limit per user: after RECEIVER_STRIKES_MAX receivers that ended this way within a minute, or
 * still hang, the user's messages are refused unread.
 */
#ifndef SOCKTUNE_HELPER_RECEIVER_H
#define SOCKTUNE_HELPER_RECEIVER_H

#include <sys/types.h>

#define RECEIVER_STRIKES_MAX 4u

/* Start guard and receiver. `listening` is a listening SOCK_SEQPACKET Unix socket, which stays the
 * caller's. Returns a SOCK_SEQPACKET socket from which to receive parcels; -1 with errno. `guard`
 * becomes the pid of the guard, which ends with the calling process, or when it is killed. Call it
 * before there are threads. */
int receiver_start(int listening, pid_t *guard);

#endif
