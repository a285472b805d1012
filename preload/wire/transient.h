/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that this process has open for some microseconds on its own account, while it
 * registers or hands over a connection. Another thread may fork() meanwhile; the child would keep
 * its copies of them, and with them the helper's socket and a network namespace.
 *
 * transient_before_fork() lets what is under way finish, for a few milliseconds at most. What is
 * still open then, the child closes. It knows the descriptors by number and inode, so that it
 * closes nothing of the program's.
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

/* All of these accept NULL, for a process that never forks: then nothing is noted. All are
 * async-signal-safe and thread-safe, and change errno. */

/* A descriptor is about to be opened; transient_note() follows in any case. */
void transient_opening(struct transient *transient);
/* It was opened, or was not, if `fd` is negative. Returns it. */
int transient_note(struct transient *transient, int fd);
/* Close it. Negative ones are passed over. */
void transient_close(struct transient *transient, int fd);

/* For the handlers of pthread_atfork(3). */
void transient_before_fork(struct transient *transient);
void transient_after_fork_in_child(struct transient *transient);

#endif
