/* SPDX-License-Identifier: MIT */
/*
 * The sums by user, program, rule, role and port, and histograms. A sum never falls as long as its
 * aggregate is kept. Nothing here does I/O; one thread uses it, no locks.
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
 * How many aggregates there are at most. Root has its own, whatever others do. Each other user has
 * AGGREGATES_USER_MAX while all of these together have fewer than AGGREGATES_SHARED_MAX, and
 * AGGREGATES_USER_LEAST in any case until they have AGGREGATES_OTHERS_MAX. What is above goes into
 * one aggregate "other" of the same user.
 */
#define AGGREGATES_ROOT_MAX   1000u
#define AGGREGATES_USER_MAX   250u
#define AGGREGATES_USER_LEAST 50u
#define AGGREGATES_SHARED_MAX 1000u
#define AGGREGATES_OTHERS_MAX 4000u
/* A user's program has so many ports for one rule and role; its further ports go under one. */
#define AGGREGATE_PORTS_MAX 16u
/* struct aggregate: stands for the further ports, or for all. Above any port. */
#define AGGREGATE_PORT_OTHER 65536u
#define AGGREGATE_PORT_ALL   65537u

/* An option that the kernel refused. */
struct option_failure {
    const char *option; /* the kernel's name; static, or "option N" interned */
    int error;          /* errno */
};

/* What became of the options that rules give to a socket. Strings are static. */
struct applied_options {
    uint16_t applied; /* options that were set */
    unsigned named;   /* of these, the first ones */
    const char *names[APPLIED_NAMED_MAX];
    unsigned failure_count;
    struct option_failure failures[APPLIED_FAILURES_MAX];
};

#define HISTOGRAM_BUCKETS 16u

enum histogram_kind {
    HISTOGRAM_DURATION, /* seconds, of closed connections */
    HISTOGRAM_RTT,      /* seconds, at every sample and final that has one */
    HISTOGRAM_MIN_RTT,  /* seconds, once a connection: when it closes */
    /* bytes a second, at every sample and final that the program did not leave short of data */
    HISTOGRAM_DELIVERY_RATE,
    HISTOGRAM_COUNT
};

/* Counts are of each bucket alone (not cumulative); what lies above the last bound is in
 * counts[HISTOGRAM_BUCKETS]. */
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1];
    double sum;
};

/* HISTOGRAM_BUCKETS upper bounds in the histogram's unit, rising, each inclusive. */
const double *histogram_bounds(enum histogram_kind kind);

/* All counts together. */
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
    unsigned port; /* of the service: where it connects to, or listens; or AGGREGATE_PORT_OTHER */
    /* The class of the peers, as configured when the connection began; "" where there were no
     * classes, and of listeners. */
    const char *peer;
    uid_t uid;     /* (uid_t)-1: of all users for whom there was no room even for an "other" */
    bool other;    /* program and rule are "other" */
    uint64_t used; /* CLOCK_MONOTONIC ns when it was last found to have open connections */

    uint64_t open; /* now; all others never fall */
    uint64_t opened;
    uint64_t closed[CLOSE_COUNT];
    uint64_t sums[SUM_COUNT];
    struct histogram histograms[HISTOGRAM_COUNT];
    uint64_t applied;              /* options set, those below and others */
    struct option_count *outcomes; /* outcome_count of them: {option, errno} */
    size_t outcome_count;
    /* Of its open listeners, connections that wait for accept(), now; of its UDP sockets, bytes
     * that wait to be received. And how many may. */
    uint64_t queue_length;
    uint64_t queue_limit;
    uint64_t dropped; /* connections that its listeners, datagrams that its UDP sockets dropped */
};

/* Begins as {0}. */
struct aggregates {
    struct aggregate **sorted; /* by program, rule, role, port, peer, user */
    size_t count;
    struct aggregate other; /* where there is no memory, or too many users */
    bool other_used;
    bool merge_ports; /* new aggregates are of all ports: AGGREGATE_PORT_ALL */
    size_t memory;
};

/* What tells aggregates apart, in the order in which they lie. */
struct aggregate_key {
    const char *program;
    const char *rule;
    unsigned role;
    unsigned port;
    const char *peer;
    uid_t uid;
};

/* The aggregate of that key, made when new: that of the port, or of all further ports, or the
 * user's "other". `now`: CLOCK_MONOTONIC nanoseconds. Never NULL. The key's texts are copied. */
struct aggregate *aggregates_get(struct aggregates *aggregates, const struct aggregate_key *key,
                                 uint64_t now);

/* Let go of aggregates that have had no open connection for `keep` nanoseconds. To be called now
 * and then, as `now` is also when those that have some were last seen with them. */
void aggregates_expire(struct aggregates *aggregates, uint64_t now, uint64_t keep);
void aggregates_free(struct aggregates *aggregates);

/* The n-th aggregate in the order of program, rule, role, port, peer, user; NULL at the end. */
const struct aggregate *aggregates_at(const struct aggregates *aggregates, size_t n);

/* How many there are. */
size_t aggregates_count(const struct aggregates *aggregates);

/* A connection or a listener begins. */
void aggregate_opened(struct aggregate *aggregate);
/* Options that were given to it at a call. */
void aggregate_options(struct aggregate *aggregate, const struct applied_options *options);
/* What rose from `old` to `new` (old->length may be 0), and the round-trip time. */
void aggregate_sampled(struct aggregate *aggregate, const struct tcp_info_bytes *old,
                       const struct tcp_info_bytes *new);
/* The accept queue of one listener, or the receive queue of one UDP socket. */
struct socket_queue {
    uint32_t length;  /* connections that wait for accept(), or bytes */
    uint32_t limit;   /* how many may */
    uint32_t dropped; /* connections or datagrams that it dropped since it was made */
};
/* That of one of its sockets changes. In an "other", which may have both, bytes do not count. */
void aggregate_queue(struct aggregate *aggregate, unsigned role, struct socket_queue from,
                     struct socket_queue to);
/* One of its listeners dropped so many more connections, or a UDP socket datagrams. */
void aggregate_dropped(struct aggregate *aggregate, uint64_t more);
/* A connection is over: after `duration` nanoseconds, with these last figures (length 0: none). */
void aggregate_closed(struct aggregate *aggregate, enum close_reason reason, uint64_t duration,
                      const struct tcp_info_bytes *info);
/* A listener or a UDP socket is over. */
void aggregate_socket_closed(struct aggregate *aggregate, enum close_reason reason);

#endif
