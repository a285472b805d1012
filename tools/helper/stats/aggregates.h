/* SPDX-License-Identifier: MIT */
/*
 * The sums by user, program, rule, role and port, and histograms. A sum never decreases while its
 * aggregate exists. No I/O; one thread, no locks.
 */
#ifndef SOCKTUNE_HELPER_AGGREGATES_H
#define SOCKTUNE_HELPER_AGGREGATES_H

#include "close_reason.h"
#include "tcp_info.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define APPLIED_FAILURES_MAX 8u
#define APPLIED_NAMED_MAX    16u
/*
 * Maximum number of aggregates. Root has its own limit, independent of others. Each other user may
 * have AGGREGATES_USER_MAX while all of these together have fewer than AGGREGATES_SHARED_MAX, and
 * always AGGREGATES_USER_LEAST until together they have AGGREGATES_OTHERS_MAX. What exceeds the
 * limit goes into one aggregate "other" of the same user.
 */
#define AGGREGATES_ROOT_MAX   1000u
#define AGGREGATES_USER_MAX   250u
#define AGGREGATES_USER_LEAST 50u
#define AGGREGATES_SHARED_MAX 1000u
#define AGGREGATES_OTHERS_MAX 4000u
/* Maximum number of ports for one program, rule and role of a user; further ports share one
 * aggregate. */
#define AGGREGATE_PORTS_MAX 16u
/* Values of struct aggregate's port for the further ports, or for all. Above any port. */
#define AGGREGATE_PORT_OTHER 65536u
#define AGGREGATE_PORT_ALL   65537u

/* An option that the kernel refused. */
struct option_failure {
    const char *option; /* the kernel's name; static, or "option N" interned */
    int error;          /* errno */
};

/* The results of the options that rules set on a socket. Strings are static. */
struct applied_options {
    uint16_t applied; /* options that were set */
    unsigned named;   /* entries of `names`: the first ones applied */
    const char *names[APPLIED_NAMED_MAX];
    unsigned failure_count;
    struct option_failure failures[APPLIED_FAILURES_MAX];
};

#define HISTOGRAM_BUCKETS 16u

enum histogram_kind {
    HISTOGRAM_DURATION, /* seconds, of closed connections */
    HISTOGRAM_RTT,      /* seconds, at every sample and final reading that has one */
    HISTOGRAM_MIN_RTT,  /* seconds, once per connection, when it closes */
    /* bytes per second, at every sample and final reading, unless the program had no data to
     * send */
    HISTOGRAM_DELIVERY_RATE,
    HISTOGRAM_COUNT
};

/* Counts per bucket (not cumulative); values above the last bound are in
 * counts[HISTOGRAM_BUCKETS]. */
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1];
    double sum;
};

/* Returns HISTOGRAM_BUCKETS ascending upper bounds in the histogram's unit, each inclusive. */
const double *histogram_bounds(enum histogram_kind kind);

/* Returns the sum of all counts. */
uint64_t histogram_count(const struct histogram *histogram);

struct option_count {
    const char *option;
    int error; /* errno; 0: it was set */
    uint64_t count;
};

/* The sums of one {program, rule, role, port, class of peers} of one user. */
struct aggregate {
    const char *program;
    const char *rule;
    unsigned role; /* enum role_bit */
    unsigned
        port; /* the remote port for connect, else the local one; or AGGREGATE_PORT_OTHER or _ALL */
    /* The class of the peers, as configured when the connection began; "" if there were no classes,
     * and for listeners. */
    const char *peer;
    uid_t uid;     /* (uid_t)-1: all users for whom there was no room even for an "other" */
    bool other;    /* program and rule are "other" */
    uint64_t used; /* CLOCK_MONOTONIC ns when it last had open connections */

    uint64_t open; /* currently open; all other counts never decrease */
    uint64_t opened;
    uint64_t closed[CLOSE_COUNT];
    uint64_t sums[SUM_COUNT];
    struct histogram histograms[HISTOGRAM_COUNT];
    uint64_t applied;              /* options set, including those not in `outcomes` */
    struct option_count *outcomes; /* outcome_count entries: {option, errno} */
    size_t outcome_count;
    /* Current queues and their limits: of its open listeners, connections that wait for accept();
     * of its UDP sockets, bytes in the receive queue. */
    uint64_t queue_length;
    uint64_t queue_limit;
    uint64_t dropped; /* connections that its listeners dropped, or datagrams that its UDP sockets
                         dropped */
};

/* Initially {0}. */
struct aggregates {
    struct aggregate **sorted; /* by program, rule, role, port, peer, user */
    size_t count;
    struct aggregate other; /* used without memory, or with too many users */
    bool other_used;
    bool merge_ports; /* new aggregates cover all ports: AGGREGATE_PORT_ALL */
    size_t memory;
};

/* What identifies an aggregate, in sort order. */
struct aggregate_key {
    const char *program;
    const char *rule;
    unsigned role;
    unsigned port;
    const char *peer;
    uid_t uid;
};

/* Returns the aggregate of that key, creating it if needed: that of the port, of all further ports,
 * or the user's "other". `now` is CLOCK_MONOTONIC in nanoseconds. Never NULL. The key's texts are
 * copied. */
struct aggregate *aggregates_get(struct aggregates *aggregates, const struct aggregate_key *key,
                                 uint64_t now);

/* Remove aggregates that have had no open connection for `keep` nanoseconds. Call it regularly: it
 * also stores `now` as the last use of those that have some. */
void aggregates_expire(struct aggregates *aggregates, uint64_t now, uint64_t keep);
void aggregates_free(struct aggregates *aggregates);

/* Returns the n-th aggregate in the order of program, rule, role, port, peer, user; NULL at the
 * end. */
const struct aggregate *aggregates_at(const struct aggregates *aggregates, size_t n);

/* Returns the number of aggregates. */
size_t aggregates_count(const struct aggregates *aggregates);

/* Count a connection or a listener that begins. */
void aggregate_opened(struct aggregate *aggregate);
/* Count options that a call set on it. */
void aggregate_options(struct aggregate *aggregate, const struct applied_options *options);
/* Add the increases from `old` to `new` (old->length may be 0), and the round-trip time. */
void aggregate_sampled(struct aggregate *aggregate, const struct tcp_info_bytes *old,
                       const struct tcp_info_bytes *new);
/* The accept queue of one listener, or the receive queue of one UDP socket. */
struct socket_queue {
    uint32_t length;  /* connections that wait for accept(), or bytes */
    uint32_t limit;   /* maximum of `length` */
    uint32_t dropped; /* connections or datagrams dropped since the socket was created */
};
/* The queue of one of its sockets has changed. In an "other", which may contain both kinds, bytes
 * are not counted. */
void aggregate_queue(struct aggregate *aggregate, unsigned role, struct socket_queue from,
                     struct socket_queue to);
/* Count connections dropped by a listener, or datagrams dropped by a UDP socket. */
void aggregate_dropped(struct aggregate *aggregate, uint64_t more);
/* Count a connection that ended after `duration` nanoseconds with these last figures (length 0:
 * none). */
void aggregate_closed(struct aggregate *aggregate, enum close_reason reason, uint64_t duration,
                      const struct tcp_info_bytes *info);
/* Count a listener or a UDP socket that ended. */
void aggregate_socket_closed(struct aggregate *aggregate, enum close_reason reason);

#endif
