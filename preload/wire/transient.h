/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that this process opens for some microseconds while it registers or hands over a
 * connection. If another thread calls fork() meanwhile, the child would keep copies of them, and
 * with them the helper's socket and a network namespace.
 *
 * transient_before_fork() waits until no descriptor is being opened, for 100 ms at most. Then the
 * child closes what is still open. It checks number and inode, so it closes no descriptor of the
 * program.
 */
#ifndef SOCKTUNE_TRANSIENT_H
#define SOCKTUNE_TRANSIENT_H

#include <stdbool.h>
#include <stdint.h>

#define TRANSIENT_MAX 32u

/* All zero: nothing is open. */
struct transient {
    uint32_t opening; /* threads between transient_opening() and transient_note() */
    struct {
        uint64_t inode; /* 0: the entry is free */
        int32_t fd;
    } open[TRANSIENT_MAX];
};

/* All of these accept NULL, for a process that never forks: then nothing is noted. They are
 * async-signal-safe and thread-safe, and change errno. */

/* Call this before a descriptor is opened; transient_note() must follow in any case. */
void transient_opening(struct transient *transient);
/* Call this after opening; `fd` is negative on failure. Returns `fd`. */
int transient_note(struct transient *transient, int fd);
/* Close it. Does nothing for a negative `fd`. */
void transient_close(struct transient *transient, int fd);

/* Handlers for pthread_atfork(3). */
void transient_before_fork(struct transient *transient);
void transient_after_fork_in_child(struct transient *transient);

#endif
