/* SPDX-License-Identifier: MIT */
/*
 * The id of this process, remembered. A forked child has memory of its own and asks anew; a
 * vfork()ed child borrows its parent's memory, and must not change in it what is the parent's.
 *
 * For hooks: async-signal-safe, thread-safe; they change errno.
 */
#ifndef SOCKTUNE_OWN_PID_H
#define SOCKTUNE_OWN_PID_H

#include <stdbool.h>
#include <stdint.h>

/* For the constructor; may be called again. False: before Linux 4.14 a forked child cannot be told
 * from a vfork()ed one, and own_pid() must not be called. */
bool own_pid_start(void);

/* In a vfork()ed child, this is its parent's. */
uint32_t own_pid(void);

/* Is this a vfork()ed child? Calls getpid(). False where that cannot be told. */
bool own_pid_is_borrowed(void);

/* The cookie of a network namespace that this process has noted, 0: none. A forked child has none.
 * Only where own_pid_start() succeeded. */
uint64_t own_pid_netns(void);
void own_pid_note_netns(uint64_t cookie);

#endif
