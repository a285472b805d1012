/* SPDX-License-Identifier: MIT */
/*
 * What a receiver (receiver.h) does, from its start to its end.
 *
 * The client's credentials are read before any data (SO_PEERCRED). Then one message is received,
 * without waiting, and the connection is closed. A client that has connected but sent nothing may
 * wait for two seconds; there are few entries, and one user may use few of them.
 */
#ifndef SOCKTUNE_HELPER_RECEIVER_LOOP_H
#define SOCKTUNE_HELPER_RECEIVER_LOOP_H

#include "receiver_page.h"

struct receiver_job {
    int listening;
    int parcels; /* socket to which parcels are sent */
    struct receiver_page *page;
};

/* Returns when the process must end, because closing the last message's descriptors may block. Then
 * all other descriptors are closed. */
void receiver_loop(const struct receiver_job *job);

#endif
