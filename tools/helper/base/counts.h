/* SPDX-License-Identifier: MIT */
/*
 * The helper's statistics about itself.
 */
#ifndef SOCKTUNE_HELPER_COUNTS_H
#define SOCKTUNE_HELPER_COUNTS_H

#include "fair_share.h"

#include <stddef.h>
#include <stdint.h>

/* What can be lost or refused; each kind is counted. */
enum drop {
    DROP_RING_FULL,    /* by programs: the ring was full */
    DROP_ABANDONED,    /* slots reserved by a writer that died before it filled them */
    DROP_MALFORMED,    /* records with invalid values */
    DROP_FOREIGN,      /* records on sockets of another user */
    DROP_LIMIT,        /* records above the limit of connections */
    DROP_MEMORY,       /* records for which the user had no memory left */
    DROP_OVERRUN,      /* ends of connections that the kernel could not deliver */
    DROP_REGISTRATION, /* registrations refused: a limit was reached */
    DROP_HANDOFF,      /* handed-over connections that were refused */
    DROP_MESSAGE,      /* invalid messages of clients */
    DROP_UNFINISHED,   /* clients that disconnected, or sent nothing */
    DROP_COUNT
};

/* Returns "ring_full" and so on, for JSON and labels. */
const char *drop_name(enum drop drop);

struct helper_counts {
    uint64_t records;  /* read from all rings */
    uint64_t handed;   /* connections that were handed over and read */
    uint64_t withheld; /* connections that programs could not hand over */
    uint64_t dropped[DROP_COUNT];
    uint64_t samples;             /* readings of connections */
    uint64_t sampling_time;       /* ns spent on samples */
    struct fair_share namespaces; /* watched network namespaces */
    struct fair_share memory;     /* bytes of users' connections, processes and namespaces */
    size_t memory_beside; /* bytes of processes and namespaces, including the helper's own */
};

#endif
