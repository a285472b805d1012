/* SPDX-License-Identifier: MIT */
/*
 * What the helper counts about itself.
 */
#ifndef SOCKTUNE_HELPER_COUNTS_H
#define SOCKTUNE_HELPER_COUNTS_H

#include "fair_share.h"

#include <stddef.h>
#include <stdint.h>

/* What can be lost or refused, each counted. */
enum drop {
    DROP_RING_FULL,    /* by the programs: the ring was full */
    DROP_ABANDONED,    /* slots reserved by a writer that died before it filled them */
    DROP_MALFORMED,    /* records that make no sense */
    DROP_FOREIGN,      /* records on sockets of another user */
    DROP_LIMIT,        /* records above the limit of connections */
    DROP_MEMORY,       /* records for which their user had no memory left */
    DROP_OVERRUN,      /* ends of connections that the kernel could not deliver */
    DROP_REGISTRATION, /* registrations refused: a limit was reached */
    DROP_HANDOFF,      /* connections refused that were handed over */
    DROP_MESSAGE,      /* messages that are neither, or make no sense */
    DROP_UNFINISHED,   /* clients that connected and went away, or sent nothing */
    DROP_COUNT
};

/* "ring_full", for JSON and labels. */
const char *drop_name(enum drop drop);

struct helper_counts {
    uint64_t records;  /* taken from all rings */
    uint64_t handed;   /* connections that were handed over and read */
    uint64_t withheld; /* connections that programs could not hand over */
    uint64_t dropped[DROP_COUNT];
    uint64_t samples;             /* readings of connections */
    uint64_t sampling_time;       /* ns spent on them */
    struct fair_share namespaces; /* network namespaces that are watched */
    struct fair_share memory;     /* bytes that users' connections, processes, namespaces take */
    size_t memory_beside; /* bytes of processes and namespaces, the helper's own among them */
};

#endif
