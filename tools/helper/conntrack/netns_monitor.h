/* SPDX-License-Identifier: MIT */
/*
 * A network namespace that is watched: what its sock_diag socket tells goes into the model.
 *
 * Of the helper's own namespace there is one, with the helper's own socket, for all users. Of
 * others there is one for each user, with the first socket that one of the user's programs passed:
 * a user who spoils it spoils only their own reports.
 *
 * How ends are told:
 * - A record comes before its connection's end, since rings are read before destroy events are.
 *   Where the writer was slow, the event waits for it in `recent_closes`.
 * - Where there is no sock_diag at all (a blind monitor), connections are lost when the process
 * that registered ends.
 * - A lookup that finds nothing means that the event is under way, that it was lost, or that the
 *   socket is reset but still open; so a missing connection is given time.
 */
#ifndef SOCKTUNE_HELPER_NETNS_MONITOR_H
#define SOCKTUNE_HELPER_NETNS_MONITOR_H

#include "connections.h"
#include "helper.h"
#include "sock_diag.h"

struct netns_monitor;

/* What one user has here. */
struct user_account {
    uid_t uid;
    size_t processes;
    size_t connections;
};

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
    size_t mptcp;
    size_t inet6; /* sockets of AF_INET6 */
};

/* `fd`: from sock_diag_socket() or sock_diag_check(), becomes the monitor's; -1: sock_diag cannot
 * be had. NULL with a message logged. */
struct netns_monitor *netns_monitor_new(struct helper *helper, int fd, uint64_t netns, uid_t uid,
                                        bool own);
void netns_monitor_free(struct netns_monitor *monitor);

uint64_t netns_monitor_netns(const struct netns_monitor *monitor);
uid_t netns_monitor_uid(const struct netns_monitor *monitor);
bool netns_monitor_is_own(const struct netns_monitor *monitor);
struct netns_monitor_counts netns_monitor_counts(const struct netns_monitor *monitor);

/* The socket has failed: nothing more will be learnt. */
bool netns_monitor_is_dead(const struct netns_monitor *monitor);

/* There is no sock_diag: what is known comes from records and handed over connections, and no end
 * is told. */
bool netns_monitor_is_blind(const struct netns_monitor *monitor);

/* Connections of a owner whose processes have ended are lost: in a blind monitor nothing else
 * tells. */
void netns_monitor_lose(struct helper *helper, const struct connection_owner *owner);

/* What was read from a connection that was handed over. */
struct handoff_reading;
void netns_monitor_take(struct helper *helper, struct connection *connection,
                        const struct handoff_reading *handed);

/* Track what a record tells; start->owner is the owner. Returns NULL where it was not taken (it
 * is counted why), and where the connection is over already. */
struct connection *netns_monitor_open(struct netns_monitor *monitor,
                                      const struct connection_start *start);

/*
 * Take what the kernel has told, up to a bound. A lookup takes all of it besides its answer, so
 * this comes first: read on end, the ends could be many more than are remembered until the records
 * of their beginnings are read. Returns whether all was taken.
 */
bool netns_monitor_catch_up(struct netns_monitor *monitor);

/* Look at a connection with the next batch. */
void netns_monitor_look(struct netns_monitor *monitor, const struct connection *connection);
/* Look at those of the batch now. */
void netns_monitor_flush(struct netns_monitor *monitor);

/* It is gone, and no final will come. */
void netns_monitor_lost(struct helper *helper, struct connection *connection);

/* Look at all sockets that can only be, or are cheaper, looked at by a dump: begins one unless one
 * is under way. `all`: established connections too. */
void netns_monitor_dump(struct netns_monitor *monitor, bool all);
/* Is it worth one before the next interval? */
bool netns_monitor_wants_dump(const struct netns_monitor *monitor);
bool netns_monitor_is_dumping(const struct netns_monitor *monitor);
/* Sockets of the namespace that the last dump of all met; 0: none was made. */
size_t netns_monitor_sockets(const struct netns_monitor *monitor);

/* Ends that the kernel could not deliver: since the last call, and when that last happened
 * (CLOCK_REALTIME ns; 0: never). */
uint64_t netns_monitor_count_overruns(struct netns_monitor *monitor);
uint64_t netns_monitor_last_overrun(const struct netns_monitor *monitor);

#endif
