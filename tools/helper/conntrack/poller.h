/* SPDX-License-Identifier: MIT */
/*
 * When which connection is looked at.
 *
 * A new connection is looked at soon, so that its owner is known and there is something to show;
 * then each once an interval: by lookups that are spread evenly over it, or, where nearly half of
 * a namespace's sockets are tracked, by a dump. Listeners are always dumped.
 */
#ifndef SOCKTUNE_HELPER_POLLER_H
#define SOCKTUNE_HELPER_POLLER_H

#include "helper.h"
#include "netns_monitor.h"

/* How often rings are read and samples taken. */
#define POLLER_TICK_NS UINT64_C(50000000)

/* NULL with a message logged. */
struct poller *poller_new(struct helper *helper);
void poller_free(struct poller *poller);

/* The namespace of a sock_diag socket that a program of `uid` passed; the descriptor becomes the
 * poller's. -1: it could have none; then one that others have serves, or none. Each must be left
 * again. NULL with a message logged. */
struct netns_monitor *poller_join(struct poller *poller, int fd, uint64_t netns, uid_t uid);
void poller_leave(struct poller *poller, struct netns_monitor *monitor);

/* A record has told of a connection. Returns whether it was taken. */
bool poller_open(struct poller *poller, const struct connection_start *start);

/* Read the rings now. */
void poller_take_records(struct poller *poller);

/* A connection was not found. */
void poller_misses(struct poller *poller);

#endif
