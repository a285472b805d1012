/* SPDX-License-Identifier: MIT */
/*
 * A network namespace that is watched: what its sock_diag socket tells goes into the model
 * (connections.h).
 *
 * Of the helper's own namespace there is one monitor, with the helper's own socket, for all users.
 * Of others there is one for each user, with the first socket that one of the user's programs
 * passed: a user who spoils it spoils only their own reports.
 *
 * How ends are told:
 * - A record comes before its connection's end, since the caller reads rings before it reads a
 *   monitor. Where the writer was slow, the end waits for it in the recent closes.
 * - Where there is no sock_diag at all (a blind monitor), connections are lost when the process
 *   that registered ends.
 * - The ends of UDP sockets are told from the first one on that is tracked; an earlier one is lost.
 *   They come without the number of drops, so drops since the last dump are not known.
 * - A lookup that finds nothing means that the event is under way, that it was lost, or that the
 *   socket is reset but still open; so a missing connection is given time.
 *
 * A monitor calls only the model and sock_diag. It never calls who calls it: its descriptor is
 * watched by the poller, and it counts what the poller wants to know. Times are CLOCK_MONOTONIC.
 */
#ifndef SOCKTUNE_HELPER_NETNS_MONITOR_H
#define SOCKTUNE_HELPER_NETNS_MONITOR_H

#include "connections.h"
#include "counts.h"
#include "sock_diag.h"

struct netns_monitor;

/* What monitors and the poller work with. Outlives them. */
struct conntrack {
    struct connections *connections;
    struct helper_counts *counts;
    const struct sock_diag_ops *diag; /* &sock_diag_kernel, or a test's */
    uint64_t (*now)(void);            /* now_monotonic(), or a test's */
};

/* What one user has here. */
struct user_account {
    uid_t uid;
    size_t processes;
    size_t groups; /* network namespaces from which connections of theirs come through BPF */
    size_t connections;
    size_t namespaces;
    size_t memory; /* bytes that all these take */
};

/* May the user take more memory? */
bool user_account_may_grow(const struct conntrack *conntrack, const struct user_account *user);

/* Who brought a connection in: struct connection's owner. */
struct connection_owner {
    struct netns_monitor *monitor;
    struct user_account *user;
    size_t tracked;   /* connections that have this as owner */
    uint64_t foreign; /* records that were about another user's sockets */
};

struct netns_monitor_counts {
    size_t tracked;
    size_t listeners;
    size_t datagrams; /* UDP sockets */
    size_t mptcp;
    size_t inet6;   /* sockets of AF_INET6 */
    size_t missing; /* times that a connection was not found, since the poller last asked */
};

/* `fd`: from sock_diag_socket(), or checked by sock_diag_check(); becomes the monitor's; -1: there
 * can be no sock_diag. `user`: for whom the namespace is watched, and who pays for the memory; it
 * outlives the monitor. NULL: it is the helper's own. NULL with a message logged. */
struct netns_monitor *netns_monitor_new(const struct conntrack *conntrack, int fd, uint64_t netns,
                                        struct user_account *user);
/* NULL does nothing. */
void netns_monitor_free(struct netns_monitor *monitor);

uint64_t netns_monitor_netns(const struct netns_monitor *monitor);
uid_t netns_monitor_uid(const struct netns_monitor *monitor);
/* NULL: it is the helper's own. */
struct user_account *netns_monitor_user(const struct netns_monitor *monitor);
bool netns_monitor_is_own(const struct netns_monitor *monitor);
const struct netns_monitor_counts *netns_monitor_counts(const struct netns_monitor *monitor);

/* The descriptor to be watched for reading; -1: there is none. */
int netns_monitor_fd(const struct netns_monitor *monitor);

/* How many ends the kernel keeps until they are read; SIZE_MAX where it tells of none. */
size_t netns_monitor_room(const struct netns_monitor *monitor);

/* The socket has failed: nothing more will be learnt. */
bool netns_monitor_is_dead(const struct netns_monitor *monitor);

/* There is no sock_diag: what is known comes from records and handed over connections, and no end
 * is told. */
bool netns_monitor_is_blind(const struct netns_monitor *monitor);

/* All connections of an owner whose processes have ended are lost: in a blind monitor nothing else
 * tells. */
void netns_monitor_lose_all(const struct conntrack *conntrack,
                            const struct connection_owner *owner);

/* What was read from a connection itself (it was handed over): whose socket it is, its figures, and
 * its options as struct connection_options has them. */
void netns_monitor_take_reading(const struct conntrack *conntrack, struct connection *connection,
                                uid_t socket_owner, const struct connection_reading *reading,
                                const uint8_t *options, size_t options_length);

/* Track what a record tells; start->owner is a struct connection_owner. Returns NULL where it was
 * not taken (it is counted why), and where the connection is over already; *refused tells which. */
struct connection *netns_monitor_open(struct netns_monitor *monitor,
                                      const struct connection_start *start, bool *refused);

/* Take what the kernel has told, up to a bound. Returns whether there is more: as long as there is,
 * nothing is looked up, since a lookup would take all of it besides its answer. */
bool netns_monitor_read(struct netns_monitor *monitor);

/* Look at a connection with the next batch. */
void netns_monitor_look(struct netns_monitor *monitor, const struct connection *connection);
/* Look at those of the batch now. */
void netns_monitor_flush(struct netns_monitor *monitor);

/* A connection has ended: its final figures came another way than by sock_diag. */
void netns_monitor_end(const struct conntrack *conntrack, struct connection *connection,
                       const struct connection_reading *reading);

/* It is gone, and no final will come. */
void netns_monitor_lost(const struct conntrack *conntrack, struct connection *connection);

/* Times that a connection was missing since the last call. */
size_t netns_monitor_take_missing(struct netns_monitor *monitor);

/* Look at all sockets that can only be, or are cheaper, looked at by a dump: begins one unless one
 * is under way. `all`: established connections too. */
void netns_monitor_dump(struct netns_monitor *monitor, bool all);
/* Is one under way? */
bool netns_monitor_is_dumping(const struct netns_monitor *monitor);
/* Is it worth one before the next interval? */
bool netns_monitor_wants_dump(const struct netns_monitor *monitor);
/* TCP and MPTCP sockets of the namespace that the last dump of all met; 0: none was made. */
size_t netns_monitor_sockets(const struct netns_monitor *monitor);

/* Ends that the kernel could not deliver: since the last call, and when that last happened (0:
 * never). */
uint64_t netns_monitor_count_overruns(struct netns_monitor *monitor);
uint64_t netns_monitor_last_overrun(const struct netns_monitor *monitor);

#endif
