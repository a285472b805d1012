/* SPDX-License-Identifier: MIT */
/*
 * The cached id of this process. A forked child has its own memory and asks again. A vfork()ed
 * child uses its parent's memory, and must not change the parent's data there.
 *
 * For hooks: async-signal-safe, thread-safe; they change errno.
 */
#ifndef SOCKTUNE_OWN_PID_H
#define SOCKTUNE_OWN_PID_H

#include <stdbool.h>
#include <stdint.h>

/* Only for the constructor; may be called again. False before Linux 4.14, where a forked child
 * cannot be distinguished from a vfork()ed one; own_pid() must not be called then. */
bool own_pid_start(void);

/* In a vfork()ed child this is the parent's id. */
uint32_t own_pid(void);

/* True in a vfork()ed child; false if that is unknown. Calls getpid(). */
bool own_pid_is_borrowed(void);

/* The cookie of a network namespace that this process has noted, or 0. A forked child starts with
 * 0. Call these only if own_pid_start() returned true. */
uint64_t own_pid_netns(void);
void own_pid_note_netns(uint64_t cookie);

#endif
