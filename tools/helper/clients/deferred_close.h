/* SPDX-License-Identifier: MIT */
/*
 * Closes a descriptor that another process created, without blocking. close() of a TCP socket with
 * SO_LINGER waits until its data is sent, however long, if ours is its last descriptor; so does
 * close() of a Unix socket with such a descriptor in its queue. The helper must not block for that.
 */
#ifndef SOCKTUNE_HELPER_DEFERRED_CLOSE_H
#define SOCKTUNE_HELPER_DEFERRED_CLOSE_H

/* Close `fd` within some milliseconds; the kernel finishes the close in the background. Only for
 * one thread. */
void deferred_close(int fd);

/* Call this once a second: it stops the timer of deferred_close(), which would otherwise wake the
 * process every few milliseconds for ever. */
void deferred_close_tick(void);

#endif
