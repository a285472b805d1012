/* SPDX-License-Identifier: MIT */
/*
 * The ends of sockets that the kernel told of last, for records that come after them: of a writer
 * that was slow, of a program whose registration is still to be taken, of a program that was
 * started with a connection and reports it once more.
 *
 * There is room for few at first. It grows while ends that are less than RECENT_CLOSE_AGE_NS old
 * would have to go, up to as many as a ring of records holds.
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
    uint32_t unacknowledged; /* as struct connection_reading has it */
    uint16_t info_length;    /* 0: none came, or it is not needed any more */
    bool known;              /* its connection was tracked: it is over, and nothing is missing */
    uint8_t info[CONNECTION_INFO_ROOM];
};

struct recent_closes;

/* NULL without memory. */
struct recent_closes *recent_closes_new(void);
void recent_closes_free(struct recent_closes *ends);

/* Make room for one more that comes at `when`, if that takes memory and there is some. */
void recent_closes_grow(struct recent_closes *ends, uint64_t when);

/* Bytes that all this takes. */
size_t recent_closes_memory(const struct recent_closes *ends);

/* Keep what an answer tells (a SOCK_DIAG_DESTROYED one), in the place of the oldest where there is
 * no room. `known`: its connection is tracked. */
void recent_closes_add(struct recent_closes *ends, const struct sock_diag_answer *answer,
                       uint64_t when, bool known);

/* The end of a socket, or NULL. Valid until the next recent_closes_add(). */
struct recent_close *recent_closes_find(struct recent_closes *ends, uint64_t cookie);

/* The newest that has these ends and came at `since` or later, or NULL; it is looked for one by
 * one. */
struct recent_close *recent_closes_find_flow(struct recent_closes *ends, const struct flow *flow,
                                             uint64_t since);

#endif
