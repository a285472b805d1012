/* SPDX-License-Identifier: MIT */
/*
 * The sums by user, program, rule, role and port. See struct aggregate in connections.h.
 */
#ifndef SOCKTUNE_HELPER_AGGREGATES_H
#define SOCKTUNE_HELPER_AGGREGATES_H

#include "connections.h"

/* Begins as {0}. Aggregates are never let go, and at most AGGREGATES_MAX are made, of which one
 * user has at most a quarter unless it is root; what is above goes under "other". */
struct aggregates {
    struct aggregate **sorted; /* by program, rule, role, port, peer, user */
    size_t count;
    struct aggregate other;
    bool other_used;
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

/* The aggregate of that key, made when new: that of the port, or of all further ports. Never NULL:
 * without memory it is "other". The key's texts are copied. */
struct aggregate *aggregates_get(struct aggregates *aggregates, const struct aggregate_key *key);
void aggregates_free(struct aggregates *aggregates);

/* A connection begins; its options count. */
void aggregate_opened(struct aggregate *aggregate, const struct connection_start *start);
/* Options of a further call on the same socket. */
void aggregate_options(struct aggregate *aggregate, const struct connection_start *start);
/* What rose from `old` to `new` (old->length may be 0), and the round-trip time. */
void aggregate_sampled(struct aggregate *aggregate, const struct tcp_info_bytes *old,
                       const struct tcp_info_bytes *new);
/* The accept queue of a listener changes from what `listener` says to these. */
void aggregate_queue(struct aggregate *aggregate, const struct connection *listener, uint32_t queue,
                     uint32_t limit);
/* It is over; connection->closed, data and info are set. */
void aggregate_closed(struct aggregate *aggregate, const struct connection *connection);

#endif
