/* SPDX-License-Identifier: MIT */
/*
 * The latest ends of sockets that the kernel reported, for records that come after them: from a
 * slow writer, from a program whose registration is still in the queue, or from a program that
 * reports an inherited connection again.
 *
 * At first there is room for few. It grows while ends younger than RECENT_CLOSE_AGE_NS would be
 * evicted, up to the number of records in a ring.
 */
#ifndef SOCKTUNE_HELPER_RECENT_CLOSES_H
#define SOCKTUNE_HELPER_RECENT_CLOSES_H

#include "connections.h"
#include "sock_diag.h"

#define RECENT_CLOSES_MIN   256u
#define RECENT_CLOSES_MAX   8192u
#define RECENT_CLOSE_AGE_NS UINT64_C(60000000000)

struct recent_close {
    uint64_t cookie;
    uint64_t when; /* CLOCK_MONOTONIC ns */
    struct flow flow;
    uint32_t unacknowledged; /* as in struct connection_reading */
    uint16_t info_length;    /* 0: none, or no longer needed */
    bool known;              /* its connection was tracked, so no record is missing */
    uint8_t info[CONNECTION_INFO_ROOM];
};

struct recent_closes;

/* NULL if there is no memory. */
struct recent_closes *recent_closes_new(void);
void recent_closes_free(struct recent_closes *ends);

/* Make room for one more end, which arrives at `when`; if there is no memory, nothing changes. */
void recent_closes_grow(struct recent_closes *ends, uint64_t when);

/* Bytes used by all this. */
size_t recent_closes_memory(const struct recent_closes *ends);

/* Store an answer of kind SOCK_DIAG_DESTROYED; replaces the oldest one if there is no room.
 * `known`: its connection is tracked. */
void recent_closes_add(struct recent_closes *ends, const struct sock_diag_answer *answer,
                       uint64_t when, bool known);

/* Returns the end of a socket, or NULL. Valid until the next recent_closes_add(). */
struct recent_close *recent_closes_find(struct recent_closes *ends, uint64_t cookie);

/* Returns the newest end with these addresses and ports that arrived at `since` or later, or NULL.
 * Linear search. */
struct recent_close *recent_closes_find_flow(struct recent_closes *ends, const struct flow *flow,
                                             uint64_t since);

#endif
