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
 *   Where the writer was slow, the event waits for it in `early`.
 * - Where there is no sock_diag at all (a blind space), connections are lost when the process that
 *   registered ends.
 * - A lookup that finds nothing means that the event is under way, that it was lost, or that the
 *   socket is reset but still open; so a missing connection is given time.
 */
#ifndef SOCKTUNE_HELPER_SPACE_H
#define SOCKTUNE_HELPER_SPACE_H

#include "connections.h"
#include "helper.h"
#include "sock_diag.h"

struct space;

/* What one user has here. */
struct user {
    uid_t uid;
    size_t processes;
    size_t connections;
};

/* Who brought a connection in: struct connection's owner. */
struct tracker {
    struct space *space;
    struct user *user;
    size_t tracked;   /* connections that have this as owner */
    uint64_t foreign; /* records that were about another user's sockets */
};

struct space_counts {
    size_t tracked;
    size_t listeners;
    size_t mptcp;
    size_t inet6; /* sockets of AF_INET6 */
};

/* `fd`: from diag_socket() or diag_check(), becomes the space's; -1: sock_diag cannot be had. NULL
 * with a message logged. */
struct space *space_new(struct helper *helper, int fd, uint64_t netns, uid_t uid, bool own);
void space_free(struct space *space);

uint64_t space_netns(const struct space *space);
uid_t space_uid(const struct space *space);
bool space_is_own(const struct space *space);
struct space_counts space_counts(const struct space *space);

/* The socket has failed: nothing more will be learnt. */
bool space_is_dead(const struct space *space);

/* There is no sock_diag: what is known comes from records and handed over connections, and no end
 * is told. */
bool space_is_blind(const struct space *space);

/* Connections of a tracker whose processes have ended are lost: in a blind space nothing else
 * tells. */
void space_lose(struct helper *helper, const struct tracker *tracker);

/* What was read from a connection that was handed over. */
struct handed;
void space_take(struct helper *helper, struct connection *connection, const struct handed *handed);

/* Track what a record tells; start->owner is the tracker. Returns NULL where it was not taken (it
 * is counted why), and where the connection is over already. */
struct connection *space_open(struct space *space, const struct connection_start *start);

/*
 * Take what the kernel has told, up to a bound. A lookup takes all of it besides its answer, so
 * this comes first: read on end, the ends could be many more than are remembered until the records
 * of their beginnings are read. Returns whether all was taken.
 */
bool space_catch_up(struct space *space);

/* Look at a connection with the next batch. */
void space_look(struct space *space, const struct connection *connection);
/* Look at those of the batch now. */
void space_flush(struct space *space);

/* It is gone, and no final will come. */
void space_lost(struct helper *helper, struct connection *connection);

/* Look at all sockets that can only be, or are cheaper, looked at by a dump: begins one unless one
 * is under way. `all`: established connections too. */
void space_dump(struct space *space, bool all);
/* Is it worth one before the next interval? */
bool space_wants_dump(const struct space *space);
bool space_is_dumping(const struct space *space);
/* Sockets of the namespace that the last dump of all met; 0: none was made. */
size_t space_sockets(const struct space *space);

/* Ends that the kernel could not deliver: since the last call, and when that last happened
 * (CLOCK_REALTIME ns; 0: never). */
uint64_t space_count_overruns(struct space *space);
uint64_t space_last_overrun(const struct space *space);

#endif
