/* SPDX-License-Identifier: MIT */
/*
 * The ends of sockets that the kernel told of last, for records that come after them: of a writer
 * that was slow, of a program whose registration is still to be taken, of a program that was
 * started with a connection and reports it once more. As many are kept as a ring of records holds.
 */
#ifndef SOCKTUNE_HELPER_EARLY_H
#define SOCKTUNE_HELPER_EARLY_H

#include "connections.h"
#include "sock_diag.h"

#define EARLY_ENDS 8192u

struct early_end {
    uint64_t cookie;
    uint64_t when; /* CLOCK_REALTIME ns */
    uint8_t local[16];
    uint8_t remote[16];
    uint16_t local_port;
    uint16_t remote_port;
    uint32_t unacknowledged; /* as struct connection_reading has it */
    uint16_t info_length;    /* 0: none came, or it is not needed any more */
    bool known;              /* its connection was tracked: it is over, and nothing is missing */
    uint8_t info[CONNECTION_INFO_ROOM];
};

struct early_ends;

/* NULL without memory. */
struct early_ends *early_new(void);
void early_free(struct early_ends *ends);

/* Keep what an answer tells (a DIAG_DESTROYED one), in the place of the oldest. `known`: its
 * connection is tracked. */
void early_add(struct early_ends *ends, const struct diag_answer *answer, uint64_t when,
               bool known);

/* The end of a socket, or NULL. Valid until the next early_add(). */
struct early_end *early_find(struct early_ends *ends, uint64_t cookie);

/* The newest that has these ends and came at `since` or later, or NULL; it is looked for one by
 * one. Addresses as in struct connection. */
struct early_end *early_find_ends(struct early_ends *ends, const struct diag_target *target,
                                  uint64_t since);

#endif
