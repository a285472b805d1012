/* SPDX-License-Identifier: MIT */
/*
 * What a receiver (receiver.h) does, from its start to its end.
 *
 * Who is there is asked before anything is read (SO_PEERCRED); then one message is taken, without
 * waiting, and the connection is closed. A client that has connected but not sent waits for two
 * seconds at most; there are few places, and one user has few of these.
 */
#ifndef SOCKTUNE_HELPER_RECEIVER_LOOP_H
#define SOCKTUNE_HELPER_RECEIVER_LOOP_H

#include "receiver_page.h"

struct receiver_job {
    int listening;
    int parcels; /* where parcels go */
    struct receiver_page *page;
};

/* Returns when the process has to end, since closing what came last may block. All descriptors but
 * that one are closed then. */
void receiver_loop(const struct receiver_job *job);

#endif
