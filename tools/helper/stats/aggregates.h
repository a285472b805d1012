/* SPDX-License-Identifier: MIT */
/*
 * The sums by user, program, rule, role and port. See struct group in connections.h.
 */
#ifndef SOCKTUNE_HELPER_GROUPS_H
#define SOCKTUNE_HELPER_GROUPS_H

#include "connections.h"

/* Begins as {0}. Groups are never let go, and at most GROUPS_MAX are made, of which one user has at
 * most a quarter unless it is root; what is above goes under "other". */
struct groups {
    struct group **sorted; /* by program, rule, role, port, peer, user */
    size_t count;
    struct group other;
    bool other_used;
    size_t memory;
};

/* What tells groups apart, in the order in which they lie. */
struct group_key {
    const char *program;
    const char *rule;
    unsigned role;
    unsigned port;
    const char *peer;
    uid_t uid;
};

/* The group of that key, made when new: that of the port, or of all further ports. Never NULL:
 * without memory it is "other". The key's texts are copied. */
struct group *groups_get(struct groups *groups, const struct group_key *key);
void groups_free(struct groups *groups);

/* A connection begins; its options count. */
void group_opened(struct group *group, const struct connection_start *start);
/* Options of a further call on the same socket. */
void group_options(struct group *group, const struct connection_start *start);
/* What rose from `old` to `new` (old->length may be 0), and the round-trip time. */
void group_sampled(struct group *group, const struct tcp_info_bytes *old,
                   const struct tcp_info_bytes *new);
/* The accept queue of a listener changes from what `listener` says to these. */
void group_queue(struct group *group, const struct connection *listener, uint32_t queue,
                 uint32_t limit);
/* It is over; connection->closed, data and info are set. */
void group_closed(struct group *group, const struct connection *connection);

#endif
