/* SPDX-License-Identifier: MIT */
/*
 * Decides when each connection is sampled, in all network namespaces that are watched.
 *
 * A new connection is sampled soon, so that its owner is confirmed and there are figures. Then each
 * is sampled once per interval: by lookups spread evenly over the interval, or, if nearly half of a
 * namespace's sockets are tracked, by a dump. Listeners and UDP sockets are always dumped.
 *
 * schedule.c calls the poller; the poller calls only the monitors.
 */
#ifndef SOCKTUNE_HELPER_POLLER_H
#define SOCKTUNE_HELPER_POLLER_H

#include "netns_monitor.h"

/* Interval between calls of poller_look(). */
#define POLLER_TICK_NS UINT64_C(50000000)

struct poller;

/* `interval` is the time in seconds between two samples of a connection; it may change. Both
 * arguments must outlive the poller. NULL with errno. */
struct poller *poller_new(const struct conntrack *conntrack, const unsigned *interval);
/* NULL does nothing. */
void poller_free(struct poller *poller);

/* Watch the helper's own namespace permanently, so that it is watched before a program's first
 * connection ends, by a socket that no program can disturb. Takes ownership of the descriptor.
 * Returns -1 on failure, which is logged. */
int poller_watch_own(struct poller *poller, int fd, uint64_t netns);

/* Returns the monitor for the namespace of a sock_diag socket that a program of `user` passed;
 * takes ownership of the descriptor. -1: the program has no sock_diag socket; share an existing
 * monitor if there is one. Pair with poller_leave(). Returns NULL, with a message logged, if the
 * namespace cannot be watched or the user watches too many. `user` must outlive the monitor. */
struct netns_monitor *poller_join(struct poller *poller, int fd, uint64_t netns,
                                  struct user_account *user);
void poller_leave(struct poller *poller, struct netns_monitor *monitor);

/* A record reports a connection. Returns whether it was accepted. */
bool poller_open(struct poller *poller, const struct connection_start *start);

/* An epoll descriptor that is readable if the kernel has messages about any namespace. Then read
 * the rings, and call poller_read(). */
int poller_fd(const struct poller *poller);

/* How long the kernel's messages may stay unread, in nanoseconds, at most POLLER_TICK_NS: its
 * buffers have room for the ends that come meanwhile. */
uint64_t poller_patience(const struct poller *poller);

/* True if a dump is in progress. */
bool poller_is_dumping(const struct poller *poller);

/* Read a bounded number of messages from each monitor that has some. Returns whether there are
 * more. Read the rings before each call, so that records come before ends. */
bool poller_read(struct poller *poller);

/* Call this every POLLER_TICK_NS, after poller_read(): samples new connections and this tick's
 * share of all. Skips a namespace in which the kernel has more messages. */
void poller_look(struct poller *poller);

/* Call this once a second: begins dumps, and closes lost connections. */
void poller_each_second(struct poller *poller);

#endif
