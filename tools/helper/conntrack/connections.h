/* SPDX-License-Identifier: MIT */
/*
 * What the helper knows: the connections that are open (here listeners and UDP sockets are
 * connections too, as far as nothing else is said), those that closed last, and the sums by
 * program, rule and role that never fall. Nothing here does I/O; one thread uses it, no locks.
 *
 * A connection's identity is {network namespace's cookie, socket's cookie}: both are unique as
 * long as the machine runs. Times are CLOCK_MONOTONIC nanoseconds; addresses are 16 bytes, IPv4 as
 * v4-mapped; ports are in host byte order.
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

#define CONNECTION_INFO_ROOM 288u /* bytes of tcp_info that are kept; Linux 6.18 gives 280 */
#define CONGESTION_NAME_SIZE 16u  /* TCP_CA_NAME_MAX */

/* What the figures of a connection are. */
enum connection_data {
    DATA_NONE,   /* not looked at yet: there are no figures */
    DATA_SAMPLE, /* as of `sampled` */
    DATA_FINAL,  /* told by the kernel when it destroyed the socket: complete */
    DATA_LOST    /* gone without a final: the last sample, if there is one, stands */
};

enum connection_state_bit { CONNECTION_OPEN = 1, CONNECTION_CLOSED = 2 };

/* Options that were read back from a connection: for each, the number of its row in the table of
 * options, the length of its value, and so many bytes. */
struct connection_options {
    size_t length;
    uint8_t bytes[];
};

/* Read only for all but connections.c. Valid until control returns to the loop. */
struct connection {
    uint64_t netns;
    uint64_t cookie;
    uint64_t opened;
    uint64_t closed;                    /* 0: open */
    uint64_t sampled;                   /* when `info` was read; 0: never */
    const char *program;                /* interned */
    const char *rule;                   /* interned; "" where no rule is known */
    const char *peer;                   /* interned; see struct aggregate */
    struct aggregate *aggregate;        /* where it counts; NULL: nowhere (yet), and once closed */
    struct connection_options *options; /* NULL: it was not handed over */
    void *owner;      /* the namespace, as the poller knows it; NULL once closed */
    struct flow flow; /* the remote end is all 0 for a listener, and of a UDP socket without one */
    uint32_t ifindex; /* bound to this interface; 0: none, or not known yet */
    pid_t pid;        /* that made the call */
    uid_t uid;
    uint16_t protocol;    /* IPPROTO_TCP, IPPROTO_MPTCP, IPPROTO_UDP */
    uint8_t role;         /* enum role_bit */
    uint8_t state;        /* as tcp_state_name() wants it; 0: not known yet */
    uint8_t data;         /* enum connection_data */
    uint8_t close_reason; /* enum close_reason */
    uint8_t verified;     /* the kernel has confirmed it: only then it counts in sums */
    uint8_t adopted; /* it was there before it was told of: what it did by then is not counted */
    uint8_t failed;  /* enum close_reason: its program says that connect() failed; 0: it does not */
    uint8_t sought;  /* it was looked for by a dump, since it was not where it should be */
    uint8_t failure_count;
    uint16_t applied;          /* options that were set */
    uint16_t info_length;      /* bytes of `info`; 0: none */
    struct socket_queue queue; /* of a listener or a UDP socket */
    uint64_t missing_since;    /* not found any more, but no final yet; 0: no such thing */
    struct option_failure_index {
        uint16_t option; /* index into the table of option names; see connection_failure() */
        uint16_t error;
    } failures[APPLIED_FAILURES_MAX];
    uint16_t named[APPLIED_NAMED_MAX]; /* options that were set; indices as in `failures` */
    uint8_t named_count;
    char congestion[CONGESTION_NAME_SIZE]; /* "": not known */
    uint64_t began; /* CLOCK_REALTIME ns, of one that takes part in a trial */
    uint32_t trial; /* its number (trials.h); 0: none */
    uint8_t trial_arm;
    uint8_t info[CONNECTION_INFO_ROOM];
};

/* Which connections are wanted. Zeroed: all that are open. */
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

/* `history`: how many closed ones are kept. NULL: no memory. */
struct connections *connections_new(size_t history);
void connections_free(struct connections *all);

/* Keep more or fewer closed ones from now on; the oldest go. Returns -1 without memory (then
 * nothing changed). */
int connections_set_history(struct connections *all, size_t history);

/*
 * The next open connection at or behind *cursor (begin with 0) that passes, or NULL. *cursor moves
 * behind it. At most *budget places are looked at, and *budget falls by them: NULL with a *budget
 * above 0 means the end, NULL with 0 that there is more: call again later. A connection that is
 * open during the whole walk is met exactly once, whatever opens or closes between the calls; so a
 * cursor may be given to a client and come back, and any value of it is valid.
 */
const struct connection *connections_next(const struct connections *all,
                                          const struct connection_filter *filter, uint64_t *cursor,
                                          size_t *budget);

/* The same for closed ones, oldest first. A cursor of one that left the history goes on with the
 * oldest that is left. */
const struct connection *connections_next_closed(const struct connections *all,
                                                 const struct connection_filter *filter,
                                                 uint64_t *cursor, size_t *budget);

/* Count those that end in the trials that they take part in. `trials` outlives it. */
void connections_set_trials(struct connections *all, struct trials *trials);

/* The open connection of that identity, or NULL. */
const struct connection *connections_find(const struct connections *all, uint64_t netns,
                                          uint64_t cookie);

/* The sums of all connections that there are and were. */
const struct aggregates *connections_aggregates(const struct connections *all);

/* Once a second or so: see aggregates_expire(). `merge_ports`: see struct aggregates. */
void connections_expire(struct connections *all, uint64_t now, uint64_t keep);
void connections_merge_ports(struct connections *all, bool merge_ports);

struct connections_size {
    size_t open;
    size_t closed; /* in the history */
    size_t history;
    size_t aggregates;
    size_t memory; /* bytes that all this takes */
};
struct connections_size connections_size(const struct connections *all);

/* The i-th refused option of a connection, i < failure_count. */
struct option_failure connection_failure(const struct connection *connection, unsigned i);

/* The figures as tcp_info_get() wants them; length 0 where there are none. */
void connection_info(const struct connection *connection, struct tcp_info_bytes *info);

/* What the registry, the poller and tests change */

/* A connection as a record of a ring tells it. */
struct connection_start {
    uint64_t netns;
    uint64_t cookie;
    uint64_t opened;
    const char *program;
    const char *rule;
    const char *peer; /* see struct aggregate; NULL is "" */
    void *owner;
    struct flow flow;
    uint32_t ifindex;
    pid_t pid;
    uid_t uid;
    uint16_t protocol;
    uint8_t role;
    bool adopted;   /* see struct connection */
    bool begun;     /* connect() has not returned: nothing is known of options */
    uint8_t failed; /* see struct connection */
    uint8_t trial_arm;
    uint32_t trial;
    uint64_t began;
    struct applied_options options;
};

/*
 * Track a connection. One that is already tracked under this identity is the same socket once
 * more (a second connect(), listen()): it is brought up to date and counts once. Returns it, or
 * NULL without memory. Names are copied.
 */
struct connection *connections_open(struct connections *all, const struct connection_start *start);

/* The kernel has confirmed the connection: it is the socket that its record names, of the user who
 * told of it. From now on it counts in the sums of its program, with all that is known by now. */
void connections_confirm(struct connections *all, struct connection *connection);

/* Is it of a kind without TCP_INFO, a listener or a UDP socket? It has a queue instead. */
bool connection_has_queue(const struct connection *connection);

/* Its local end, if that was not known yet: the other families' is the same. */
void connections_set_local(struct connection *connection, const struct flow *flow);

/* What the kernel says of a connection. */
struct connection_reading {
    uint64_t when;
    unsigned state;
    const uint8_t *info; /* NULL: none came */
    size_t info_length;
    const char *congestion; /* NULL: none came */
    struct socket_queue queue;
    uint32_t unacknowledged; /* of a final: bytes that waited for the peer's word (idiag_wqueue) */
    uint8_t ending; /* enum close_reason of a final, where the figures need not say; 0: they do */
};

/* Take over a sample. What rose since the last one goes into the aggregate's sums, if the
 * connection is confirmed. Of one that was adopted, the first sample is what later ones are
 * compared with. */
void connections_sample(struct connections *all, struct connection *connection,
                        const struct connection_reading *reading);

/* The options that were read back of it, in place of earlier ones. Without memory there are none.
 */
void connections_set_options(struct connections *all, struct connection *connection,
                             const uint8_t *bytes, size_t length);

/*
 * The connection is over: it goes into the history, and `connection` is invalid. `data` is
 * DATA_FINAL or DATA_LOST; `reading` may be NULL. Figures of a final that were wiped (a reset
 * connection's) do not replace those of the last sample.
 */
void connections_close(struct connections *all, struct connection *connection,
                       enum connection_data data, const struct connection_reading *reading);

/* Forget a connection that should never have been taken: no history, and its aggregate loses it. */
void connections_reject(struct connections *all, struct connection *connection);

/* As connections_find() and connections_next() without a filter, but to change it. */
struct connection *connections_get(struct connections *all, uint64_t netns, uint64_t cookie);
struct connection *connections_walk(struct connections *all, uint64_t *cursor, size_t *budget);

/* Where a walk ends: its cursor is then at least this. */
size_t connections_places(const struct connections *all);

#endif
