/* SPDX-License-Identifier: MIT */
/*
 * The supervisor itself: a background process whose threads answer notified calls, and a second one
 * that stands by.
 */
#ifndef SOCKTUNE_SUPERVISOR_H
#define SOCKTUNE_SUPERVISOR_H

#include "match.h"

#include <sys/types.h>

/* The program that this process is going to be. */
struct program {
    char name[64];        /* as it is reported */
    struct active active; /* the rules that are for it */
    bool go;              /* the Go runtime is in it */
    bool multipath;       /* it is started with a listener of MPTCP */
};

/* How the program and the supervisor come to know each other. */
struct supervisor_link {
    int socket; /* to the supervisor; close-on-exec */
};

/*
 * Start the supervisor of this process, which is going to be the program. It is no child of this
 * process, nor in its session, and holds none of its descriptors but standard error. `trace` is as
 * SOCKTUNE_TRACE. Returns 0, or -1 with errno.
 */
int supervisor_start(const struct policy *policy, const struct program *program, const char *trace,
                     struct supervisor_link *link);

/* Hand over the descriptor of notifications, which is closed, and wait until calls are answered.
 * Returns 0, or -1 with errno. Ends the link. */
int supervisor_hand_over(struct supervisor_link *link, int listener);

#endif
