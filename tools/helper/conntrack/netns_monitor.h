/* SPDX-License-Identifier: MIT */
/*
 * Watches a network namespace: enters what its sock_diag socket reports into the model
 * (connections.h).
 *
 * The helper's own namespace has one monitor for all users, with the helper's own socket. Any other
 * namespace has one for each user, with the first socket that a program of the user passed: a user
 * who disturbs it disturbs only their own reports.
 *
 * How ends are reported:
 * - A record comes before its connection's end, since the caller reads rings before it reads a
 *   monitor. If the writer was slow, the end waits for the record in the recent closes.
 * - Without sock_diag (a blind monitor), connections are lost when the process that registered
 *   ends.
 * - Ends of UDP sockets are reported after the first one is tracked; an earlier end is lost. The
 *   event has no number of drops, so drops since the last dump are unknown.
 * - If a lookup finds nothing, the event is in flight or was lost, or the socket is reset but still
 *   open. So a missing connection is kept for some time.
 *
 * A monitor calls only the model and sock_diag, never its callers: the poller watches its
 * descriptor, and reads its counts. Times are CLOCK_MONOTONIC.
 */
#ifndef SOCKTUNE_HELPER_NETNS_MONITOR_H
#define SOCKTUNE_HELPER_NETNS_MONITOR_H

#include "connections.h"
#include "counts.h"
#include "sock_diag.h"

struct netns_monitor;

/* What monitors and the poller need. It must outlive them. */
struct conntrack {
    struct connections *connections;
    struct helper_counts *counts;
    const struct sock_diag_ops *diag; /* &sock_diag_kernel, or a test's */
    uint64_t (*now)(void);            /* now_monotonic(), or a test's */
};

/* The resources of one user. */
struct user_account {
    uid_t uid;
    size_t processes;
    size_t groups; /* network namespaces from which BPF reports connections of this user */
    size_t connections;
    size_t namespaces;
    size_t memory; /* bytes used for all these */
};

/* Whether the user may use more memory. */
bool user_account_may_grow(const struct conntrack *conntrack, const struct user_account *user);

/* Who reported a connection: struct connection's owner. */
struct connection_owner {
    struct netns_monitor *monitor;
    struct user_account *user;
    size_t tracked;   /* connections that have this as owner */
    uint64_t foreign; /* records about sockets of other users */
};

struct netns_monitor_counts {
    size_t tracked;
    size_t listeners;
    size_t datagrams; /* UDP sockets */
    size_t mptcp;
    size_t inet6;   /* sockets of AF_INET6 */
    size_t missing; /* connections not found, since the poller last asked */
};

/* `fd` is from sock_diag_socket(), or checked by sock_diag_check(); ownership passes to the
 * monitor; -1: sock_diag is not available. `user` is the user for whom the namespace is watched and
 * who is charged for the memory; it must outlive the monitor. NULL: the helper's own namespace.
 * Returns NULL on failure, which is logged. */
struct netns_monitor *netns_monitor_new(const struct conntrack *conntrack, int fd, uint64_t netns,
                                        struct user_account *user);
/* NULL does nothing. */
void netns_monitor_free(struct netns_monitor *monitor);

uint64_t netns_monitor_netns(const struct netns_monitor *monitor);
uid_t netns_monitor_uid(const struct netns_monitor *monitor);
/* NULL: the helper's own namespace. */
struct user_account *netns_monitor_user(const struct netns_monitor *monitor);
bool netns_monitor_is_own(const struct netns_monitor *monitor);
const struct netns_monitor_counts *netns_monitor_counts(const struct netns_monitor *monitor);

/* The descriptor to watch for reading; -1: none. */
int netns_monitor_fd(const struct netns_monitor *monitor);

/* How many ends the kernel buffers until they are read; SIZE_MAX if it reports none. */
size_t netns_monitor_room(const struct netns_monitor *monitor);

/* True if the socket has failed: no further reports will come. */
bool netns_monitor_is_dead(const struct netns_monitor *monitor);

/* True without sock_diag: all information comes from records and handed-over connections, and ends
 * are not reported. */
bool netns_monitor_is_blind(const struct netns_monitor *monitor);

/* All connections of an owner whose processes have ended are lost: in a blind monitor nothing else
 * reports their end. */
void netns_monitor_lose_all(const struct conntrack *conntrack,
                            const struct connection_owner *owner);

/* Enter what was read from a handed-over connection: the owner of its socket, its figures, and its
 * options in the format of struct connection_options. */
void netns_monitor_take_reading(const struct conntrack *conntrack, struct connection *connection,
                                uid_t socket_owner, const struct connection_reading *reading,
                                const uint8_t *options, size_t options_length);

/* Track the connection in a record; start->owner is a struct connection_owner. Returns NULL if it
 * was refused (the reason is counted), or if the connection has ended already; *refused
 * distinguishes the two. */
struct connection *netns_monitor_open(struct netns_monitor *monitor,
                                      const struct connection_start *start, bool *refused);

/* Read the kernel's messages, up to a limit. Returns whether there are more. While there are,
 * nothing is looked up, since a lookup would read all of them before its answer. */
bool netns_monitor_read(struct netns_monitor *monitor);

/* Look the connection up with the next batch. */
void netns_monitor_look(struct netns_monitor *monitor, const struct connection *connection);
/* Look up the connections of the batch now. */
void netns_monitor_flush(struct netns_monitor *monitor);

/* A connection has ended; its final figures did not come by sock_diag. */
void netns_monitor_end(const struct conntrack *conntrack, struct connection *connection,
                       const struct connection_reading *reading);

/* The connection is gone, and no final figures will come. */
void netns_monitor_lost(const struct conntrack *conntrack, struct connection *connection);

/* Returns how often a connection was missing since the last call. */
size_t netns_monitor_take_missing(struct netns_monitor *monitor);

/* Begin a dump, unless one is in progress, for the sockets for which a dump is the only or the
 * cheaper way. `all`: established connections too. */
void netns_monitor_dump(struct netns_monitor *monitor, bool all);
/* True if a dump is in progress. */
bool netns_monitor_is_dumping(const struct netns_monitor *monitor);
/* True if a dump should be made before the next interval. */
bool netns_monitor_wants_dump(const struct netns_monitor *monitor);
/* Number of TCP and MPTCP sockets that the last dump of all listed; 0: there was none. */
size_t netns_monitor_sockets(const struct netns_monitor *monitor);

/* Ends that the kernel could not deliver since the last call; and the time when that last happened
 * (0: never). */
uint64_t netns_monitor_count_overruns(struct netns_monitor *monitor);
uint64_t netns_monitor_last_overrun(const struct netns_monitor *monitor);

#endif
