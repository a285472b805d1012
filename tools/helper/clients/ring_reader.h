/* SPDX-License-Identifier: MIT */
/*
 * The reader's end of a ring (preload/wire/ring.h). The memory belongs to a program that may write
 * anything into it at any time: nothing is read twice, no reference is followed, every record is
 * checked. Only the header is mapped. Slots are read with pread(2), which returns zeros for a hole
 * in the file; reading a hole through a mapping would allocate its pages, charged to the helper.
 */
#ifndef SOCKTUNE_RING_READER_H
#define SOCKTUNE_RING_READER_H

#include "ring.h"

/* A ticket without a record is skipped after this time. */
#define RING_READER_PATIENCE_NS ((uint64_t)1000000000u)
/* Limit for the growth of the writers' counts: one event per so many ns, since each is an atomic
 * addition to one cache line after some system calls; and this many at once, after the helper was
 * stopped. */
#define RING_READER_COUNT_NS  ((uint64_t)16)
#define RING_READER_COUNT_MAX ((uint64_t)1 << 26)

struct ring_counts {
    uint64_t records;   /* delivered */
    uint64_t dropped;   /* by the writers, since the ring was full (untrusted) */
    uint64_t abandoned; /* tickets whose writer did not commit in time */
    uint64_t torn;      /* committed, but the checksum is wrong: two writers in one slot */
    uint64_t refused;   /* valid checksum, but invalid values */
    uint64_t withheld;  /* connections that the writers could not hand over (untrusted) */
};

struct ring_reader {
    struct ring_header *header; /* NULL: the reader is empty */
    int fd;                     /* a duplicate owned by the reader */
    uint32_t slots;
    uint64_t tail;       /* the next ticket; `tail` in the ring is only a copy for the writers */
    uint64_t hole_since; /* since when the reader waits for `tail`; 0: it does not */
    uint8_t *beyond;     /* a bit per slot: taken, though an earlier ticket is still open */
    uint64_t dropped_seen;
    uint64_t believed_until; /* CLOCK_MONOTONIC: time up to which the growth was bounded */
    uint64_t believable;     /* by how much the counts may grow at once */
    uint64_t withheld_seen;
    uint64_t id;    /* of the ring; 0: none, so nothing is handed over */
    uint64_t taken; /* handed over and taken; the ring has only a copy */
    uint64_t handed_seen;
    struct ring_counts counts;
};

/*
 * Check and map the memfd `fd` of `memory` bytes, which begins with a ring of `size` bytes. The
 * descriptor stays the caller's and may be closed at once. Returns NULL, or a static English phrase
 * that says what is wrong; then the reader is empty.
 */
const char *ring_reader_open(struct ring_reader *reader, int fd, size_t size, size_t memory);

/* Set the heartbeat to 0 (writers then register again), and unmap. Does nothing for an empty
 * reader. */
void ring_reader_close(struct ring_reader *reader);

/* Renew the heartbeat, at least every 10 s. `now_ns` is CLOCK_REALTIME. */
void ring_reader_beat(struct ring_reader *reader, uint64_t now_ns);

/* Called with the reader's copy of a record, which is valid only during the call and whose values
 * are within their ranges. */
typedef void ring_take(void *context, const struct record *record);

/*
 * Read up to `limit` records, oldest first; ring_reader_pending() says whether there are more.
 * Records after one that is not yet committed are read, too. Returns how many were read or skipped;
 * -1 if the ring is invalid and must be closed: its head went backwards or too far, or its counts
 * grew by more than is possible. `now_ns` is CLOCK_MONOTONIC.
 */
int ring_reader_read(struct ring_reader *reader, uint64_t now_ns, unsigned limit, ring_take *take,
                     void *context);

/* Note that a handed-over connection was closed again. */
void ring_reader_took(struct ring_reader *reader);

/* Call this once a second. Descriptors in flight since the last call will not arrive any more,
 * since a writer was killed; they count as taken. */
void ring_reader_settle(struct ring_reader *reader);

/* Write to the ring which trials have ended: a bit per trial, by its number in the policy. */
void ring_reader_put_ended_trials(struct ring_reader *reader, uint64_t ended);

/* True if the values of a record are within their ranges. Pure. */
bool ring_record_is_sane(const struct record *record);

/* True if the ring has tickets that were not read, even while the reader waits for a slow
 * writer. */
bool ring_reader_pending(const struct ring_reader *reader);

#endif
