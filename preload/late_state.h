/* SPDX-License-Identifier: MIT */
/*
 * State that may change after the constructor. It is in a mapping of its own, because the object's
 * data is read-only by then (protect.h).
 */
#ifndef SOCKTUNE_LATE_STATE_H
#define SOCKTUNE_LATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* Listeners with higher descriptors are not noted. What is here fits into one page. */
enum { LATE_LISTENERS = 16384 };

/* Each only ever changes to true. Read and written atomically. */
struct late_state {
    bool confined;   /* a seccomp filter is or is about to be installed (confined.h) */
    bool multipath;  /* an MPTCP listener exists (multipath.h) */
    bool transport;  /* a rule has created an MPTCP socket (plain_tcp.h) */
    bool left_netns; /* a thread has entered another network namespace (own_netns.h) */
    uint64_t no_multipath[LATE_LISTENERS / 64]; /* by descriptor: no MPTCP listener (multipath.h) */
};

/* NULL: nothing is tracked. Only the constructor writes it. */
extern struct late_state *late_state;

/* Allocate it, if that has not been done. NULL if there is no memory. Only for the constructor.
 * Changes errno. */
struct late_state *late_state_start(void);

#endif
