/* SPDX-License-Identifier: MIT */
/*
 * Closing a descriptor that somebody else made. close() of a TCP socket that lingers (SO_LINGER)
 * waits until its data is sent, however long, if ours is the last descriptor of it; so does that of
 * a Unix socket in whose queue such a descriptor lies. Nothing may stop the helper for that.
 */
#ifndef SOCKTUNE_HELPER_DEFERRED_CLOSE_H
#define SOCKTUNE_HELPER_DEFERRED_CLOSE_H

/* Close it, within some milliseconds; what the kernel has yet to do for it goes on without us. For
 * one thread. */
void deferred_close(int fd);

/* Once a second: without this, deferred_close() costs a wake-up every few milliseconds for good. */
void deferred_close_tick(void);

#endif
