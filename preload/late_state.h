/* SPDX-License-Identifier: MIT */
/*
 * What may change after the constructor. It lies in a mapping of its own, since the object's data
 * is read-only then (protect.h).
 */
#ifndef SOCKTUNE_LATE_STATE_H
#define SOCKTUNE_LATE_STATE_H

#include <stdbool.h>

/* All only ever become true. Read and written atomically. */
struct late_state {
    bool confined;   /* a seccomp filter is there, or is about to be (confined.h) */
    bool multipath;  /* there is a listener of MPTCP (multipath.h) */
    bool transport;  /* a rule has made a socket of MPTCP (plain_tcp.h) */
    bool left_netns; /* a thread has entered another network namespace (own_netns.h) */
};

/* NULL: nobody watches. Written by the constructor alone. */
extern struct late_state *late_state;

/* Make it, unless it is there. NULL if there is no memory. For the constructor. Changes errno. */
struct late_state *late_state_start(void);

#endif
