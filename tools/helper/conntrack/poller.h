/* SPDX-License-Identifier: MIT */
/*
 * When which connection is looked at, in all network namespaces that are watched.
 *
 * A new connection is looked at soon, so that its owner is known and there is something to show;
 * then each once an interval: by lookups that are spread evenly over it, or, where nearly half of
 * a namespace's sockets are tracked, by a dump. Listeners and UDP sockets are always dumped.
 *
 * The poller is called (schedule.c); it calls the monitors and nobody else.
 */
#ifndef SOCKTUNE_HELPER_POLLER_H
#define SOCKTUNE_HELPER_POLLER_H

#include "netns_monitor.h"

/* How often poller_look() is called. */
#define POLLER_TICK_NS UINT64_C(50000000)

struct poller;

/* `interval`: seconds between two samples of a connection; it may change. Both outlive the poller.
 * NULL with errno. */
struct poller *poller_new(const struct conntrack *conntrack, const unsigned *interval);
/* NULL does nothing. */
void poller_free(struct poller *poller);

/* Watch the helper's own namespace, all the time, so that a program's first connection is not over
 * before it is watched, with a socket that no program can spoil. The descriptor becomes the
 * poller's. Returns -1 with a message logged. */
int poller_watch_own(struct poller *poller, int fd, uint64_t netns);

/* The monitor for the namespace of a sock_diag socket that a program of `user` passed; the
 * descriptor becomes the poller's. -1: the program has no sock_diag socket; share an existing
 * monitor if there is one. Pair with poller_leave(). Returns NULL, with a message logged, where it
 * cannot be watched, or where the user watches too many. The user outlives the monitor. */
struct netns_monitor *poller_join(struct poller *poller, int fd, uint64_t netns,
                                  struct user_account *user);
void poller_leave(struct poller *poller, struct netns_monitor *monitor);

/* A record has told of a connection. Returns whether it was taken. */
bool poller_open(struct poller *poller, const struct connection_start *start);

/* Readable (an epoll descriptor) where the kernel has something to tell about any namespace. Then
 * read the rings, and call poller_read(). */
int poller_fd(const struct poller *poller);

/* How long the kernel may be left unread, in nanoseconds, at most POLLER_TICK_NS: it has room for
 * the ends that come meanwhile. */
uint64_t poller_patience(const struct poller *poller);

/* Are answers of a dump under way? */
bool poller_is_dumping(const struct poller *poller);

/* Take a bounded number of messages of each monitor that has some; returns whether there are more.
 * Beginnings come before ends only if the rings are read before each call. */
bool poller_read(struct poller *poller);

/* Every POLLER_TICK_NS, after poller_read(): look at new connections and this tick's share of all.
 * A namespace in which the kernel has more to tell waits. */
void poller_look(struct poller *poller);

/* Once a second: dumps, and connections that are lost. */
void poller_each_second(struct poller *poller);

#endif
