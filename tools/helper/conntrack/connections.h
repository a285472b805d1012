/* SPDX-License-Identifier: MIT */
/*
 * The model of the helper: the open connections (unless stated otherwise, listeners and UDP sockets
 * are connections, too), those that closed last, and the sums by program, rule and role, which
 * never decrease. No I/O; one thread, no locks.
 *
 * The identity of a connection is {network namespace's cookie, socket's cookie}. Both are unique
 * until the machine reboots. Times are CLOCK_MONOTONIC in nanoseconds; addresses are 16 bytes, IPv4
 * as v4-mapped; ports are in host byte order.
 */
#ifndef SOCKTUNE_HELPER_CONNECTIONS_H
#define SOCKTUNE_HELPER_CONNECTIONS_H

#include "aggregates.h"
#include "flow.h"
#include "tcp_info.h"
#include "trials.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CONNECTION_INFO_ROOM 288u /* bytes of tcp_info that are stored; Linux 6.18 returns 280 */
#define CONGESTION_NAME_SIZE 16u  /* TCP_CA_NAME_MAX */

/* The source of a connection's figures. */
enum connection_data {
    DATA_NONE,   /* not sampled yet: no figures */
    DATA_SAMPLE, /* as of `sampled` */
    DATA_FINAL,  /* complete: the kernel reported them when it destroyed the socket */
    DATA_LOST    /* no final figures came; the last sample, if any, stays */
};

enum connection_state_bit { CONNECTION_OPEN = 1, CONNECTION_CLOSED = 2 };

/* Options read from a connection: for each, the number of its row in the table of options, the
 * length of its value, and the value. */
struct connection_options {
    size_t length;
    uint8_t bytes[];
};

/* Read-only outside connections.c. Valid until control returns to the loop. */
struct connection {
    uint64_t netns;
    uint64_t cookie;
    uint64_t opened;
    uint64_t closed;             /* 0: open */
    uint64_t sampled;            /* when `info` was read; 0: never */
    const char *program;         /* interned */
    const char *rule;            /* interned; "" if unknown */
    const char *peer;            /* interned; see struct aggregate */
    struct aggregate *aggregate; /* where it is counted; NULL: not yet, and after the close */
    struct connection_options *options; /* NULL: not read; only handed-over connections have them */
    void *owner;                        /* struct connection_owner; NULL after the close */
    struct flow
        flow; /* the remote end is all 0 for a listener, and for a UDP socket without peer */
    uint32_t ifindex; /* interface to which it is bound; 0: none, or unknown */
    pid_t pid;        /* process that made the call */
    uid_t uid;
    uint16_t protocol;    /* IPPROTO_TCP, IPPROTO_MPTCP, IPPROTO_UDP */
    uint8_t role;         /* enum role_bit */
    uint8_t state;        /* as for tcp_state_name(); 0: unknown */
    uint8_t data;         /* enum connection_data */
    uint8_t close_reason; /* enum close_reason */
    uint8_t verified;     /* the kernel has confirmed it: only then it counts in sums */
    uint8_t adopted;      /* existed before it was reported: what it did before is not counted */
    uint8_t failed; /* enum close_reason if its program reports that connect() failed, else 0 */
    uint8_t sought; /* a dump has searched for it, since a lookup did not find it */
    uint8_t failure_count;
    uint16_t applied;          /* options that were set */
    uint16_t info_length;      /* bytes of `info`; 0: none */
    struct socket_queue queue; /* of a listener or a UDP socket */
    uint64_t
        missing_since; /* since when it is not found, without final figures; 0: it is not missing */
    struct option_failure_index {
        uint16_t option; /* index into the table of option names; see connection_failure() */
        uint16_t error;
    } failures[APPLIED_FAILURES_MAX];
    uint16_t named[APPLIED_NAMED_MAX]; /* options that were set; indices as in `failures` */
    uint8_t named_count;
    char congestion[CONGESTION_NAME_SIZE]; /* "": unknown */
    uint64_t began;                        /* CLOCK_REALTIME ns, for connections in a trial */
    uint32_t trial;                        /* number of the trial (trials.h); 0: none */
    uint8_t trial_arm;
    uint8_t info[CONNECTION_INFO_ROOM];
};

/* Selects connections. Zeroed: all. */
struct connection_filter {
    const char *program;    /* glob; NULL: any */
    const char *rule;       /* exact; NULL: any */
    const char *state;      /* as tcp_state_name() writes it; NULL: any */
    unsigned roles;         /* enum role_bit; 0: any */
    unsigned close_reasons; /* bits of 1 << enum close_reason; 0: any */
    bool one_user;          /* only those of `uid` */
    uid_t uid;
};

struct connections;

/* `history` is the number of closed connections to keep. NULL if there is no memory. */
struct connections *connections_new(size_t history);
void connections_free(struct connections *all);

/* Change the number of closed connections to keep; the oldest are removed. Returns -1 if there is
 * no memory; then nothing has changed. */
int connections_set_history(struct connections *all, size_t history);

/*
 * Return the next open connection at or after *cursor (start with 0) that passes the filter, or
 * NULL. *cursor moves past it. At most *budget places are examined, and *budget decreases by their
 * number. NULL with *budget above 0 means the end; NULL with 0 means that there may be more: call
 * again later. A connection that is open during the whole walk is met exactly once, whatever opens
 * or closes between the calls. So a cursor may be given to a client and come back, and any value is
 * valid.
 */
const struct connection *connections_next(const struct connections *all,
                                          const struct connection_filter *filter, uint64_t *cursor,
                                          size_t *budget);

/* The same for closed connections, oldest first. If the cursor's connection has left the history,
 * the walk continues with the oldest one. */
const struct connection *connections_next_closed(const struct connections *all,
                                                 const struct connection_filter *filter,
                                                 uint64_t *cursor, size_t *budget);

/* Count ending connections in the trials in which they take part. `trials` must outlive the
 * model. */
void connections_set_trials(struct connections *all, struct trials *trials);

/* Returns the open connection with that identity, or NULL. */
const struct connection *connections_find(const struct connections *all, uint64_t netns,
                                          uint64_t cookie);

/* Returns the sums of all open and closed connections. */
const struct aggregates *connections_aggregates(const struct connections *all);

/* Call it about once a second: see aggregates_expire(). `merge_ports`: see struct aggregates. */
void connections_expire(struct connections *all, uint64_t now, uint64_t keep);
void connections_merge_ports(struct connections *all, bool merge_ports);

struct connections_size {
    size_t open;
    size_t closed; /* in the history */
    size_t history;
    size_t aggregates;
    size_t memory; /* bytes used by all this */
};
struct connections_size connections_size(const struct connections *all);

/* Returns the i-th refused option of a connection; i < failure_count. */
struct option_failure connection_failure(const struct connection *connection, unsigned i);

/* Fills in the figures for tcp_info_get(); length 0 if there are none. */
void connection_info(const struct connection *connection, struct tcp_info_bytes *info);

/* Functions for the client table, the poller and tests */

/* A new connection, as a record describes it. */
struct connection_start {
    uint64_t netns;
    uint64_t cookie;
    uint64_t opened;
    const char *program;
    const char *rule;
    const char *peer; /* see struct aggregate; NULL means "" */
    void *owner;
    struct flow flow;
    uint32_t ifindex;
    pid_t pid;
    uid_t uid;
    uint16_t protocol;
    uint8_t role;
    bool adopted;   /* see struct connection */
    bool begun;     /* connect() has not returned: its options are unknown */
    uint8_t failed; /* see struct connection */
    uint8_t trial_arm;
    uint32_t trial;
    uint64_t began;
    struct applied_options options;
};

/*
 * Track a connection. If its identity is tracked already, it is another call on the same socket (a
 * second connect() or listen()): the connection is updated, and counts once. Returns it, or NULL if
 * there is no memory. Names are copied.
 */
struct connection *connections_open(struct connections *all, const struct connection_start *start);

/* The kernel has confirmed that this is the socket in the record, and that it belongs to the user
 * who reported it. From now on it counts in the sums of its program, with all that is known so
 * far. */
void connections_confirm(struct connections *all, struct connection *connection);

/* True for kinds without TCP_INFO: a listener or a UDP socket. They have a queue instead. */
bool connection_has_queue(const struct connection *connection);

/* Set its local end if that was unknown; for other families it is the same. */
void connections_set_local(struct connection *connection, const struct flow *flow);

/* What the kernel reports about a connection. */
struct connection_reading {
    uint64_t when;
    unsigned state;
    const uint8_t *info; /* NULL: none */
    size_t info_length;
    const char *congestion; /* NULL: none */
    struct socket_queue queue;
    uint32_t
        unacknowledged; /* final only: bytes that the peer had not acknowledged (idiag_wqueue) */
    uint8_t ending; /* final only: enum close_reason, if it is known without the figures; else 0 */
};

/* Store a sample. If the connection is confirmed, increases since the last sample are added to the
 * aggregate. For an adopted connection, the first sample is the base for later ones. */
void connections_sample(struct connections *all, struct connection *connection,
                        const struct connection_reading *reading);

/* Store the options read from the connection, replacing earlier ones. If there is no memory, it has
 * none. */
void connections_set_options(struct connections *all, struct connection *connection,
                             const uint8_t *bytes, size_t length);

/*
 * The connection has ended: it moves into the history, and `connection` becomes invalid. `data` is
 * DATA_FINAL or DATA_LOST; `reading` may be NULL. Final figures that the kernel has cleared (after
 * a reset) do not replace those of the last sample.
 */
void connections_close(struct connections *all, struct connection *connection,
                       enum connection_data data, const struct connection_reading *reading);

/* Remove a connection that should not have been tracked: not kept in the history, and removed from
 * its aggregate. */
void connections_reject(struct connections *all, struct connection *connection);

/* Like connections_find() and connections_next() without a filter, but the connection may be
 * changed. */
struct connection *connections_get(struct connections *all, uint64_t netns, uint64_t cookie);
struct connection *connections_walk(struct connections *all, uint64_t *cursor, size_t *budget);

/* The end of a walk: its cursor is then at least this. */
size_t connections_places(const struct connections *all);

#endif
