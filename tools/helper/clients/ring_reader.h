/* SPDX-License-Identifier: MIT */
/*
 * The reader's end of a ring (preload/wire/ring.h). The memory belongs to a program that may write
 * anything into it at any time: nothing is read twice, nothing is followed, every record is
 * checked. Only the header is mapped. Slots are read with pread(2), which gives zeros for a hole in
 * the file; reading a hole through a mapping would allocate its pages, on the helper's account.
 */
#ifndef SOCKTUNE_RING_READER_H
#define SOCKTUNE_RING_READER_H

#include "ring.h"

/* A ticket whose record does not come is passed over after this long. */
#define RING_READER_PATIENCE_NS ((uint64_t)1000000000u)
/* The writers of one ring count at most one event in so many nanoseconds: each is an atomic
 * addition to one cache line, behind system calls. And so many at once, after a helper was stopped.
 */
#define RING_READER_COUNT_NS  ((uint64_t)16)
#define RING_READER_COUNT_MAX ((uint64_t)1 << 26)

struct ring_counts {
    uint64_t records;   /* delivered */
    uint64_t dropped;   /* by the writers, since the ring was full (their word) */
    uint64_t abandoned; /* tickets whose writer did not commit in time */
    uint64_t torn;      /* committed, but the checksum is wrong: two writers in one slot */
    uint64_t refused;   /* whole, but with values that no record has */
    uint64_t withheld;  /* connections that the writers would have handed over (their word) */
};

struct ring_reader {
    struct ring_header *header; /* NULL: the reader is empty */
    int fd;                     /* the reader's own duplicate */
    uint32_t slots;
    uint64_t tail;       /* the next ticket; `tail` in the ring is only told */
    uint64_t hole_since; /* when the reader first waited for `tail`; 0: does not */
    uint8_t *beyond;     /* a bit a slot: taken, though a ticket before it is still open */
    uint64_t dropped_seen;
    uint64_t believed_until; /* CLOCK_MONOTONIC: up to when the writers' counts were bounded */
    uint64_t believable;     /* by how much their counts may grow at once */
    uint64_t withheld_seen;
    uint64_t id;    /* the ring's; 0: it has none, and nothing is handed over */
    uint64_t taken; /* handed over and taken; that in the ring is only told */
    uint64_t handed_seen;
    struct ring_counts counts;
};

/*
 * Check and map the memfd `fd` of `memory` bytes, which begins with a ring of `size` bytes. The
 * descriptor stays the caller's and may be closed at once. Returns NULL, or a static English phrase
 * that says what is wrong; the reader is then empty.
 */
const char *ring_reader_open(struct ring_reader *reader, int fd, size_t size, size_t memory);

/* Tell the writers that nobody reads any more (they will register anew), and unmap. Harmless on an
 * empty reader. */
void ring_reader_close(struct ring_reader *reader);

/* Tell the writers that somebody reads: at least every 10 s. `now_ns`: CLOCK_REALTIME. */
void ring_reader_beat(struct ring_reader *reader, uint64_t now_ns);

/* The record is the reader's copy, borrowed for the call; its values are within their ranges. */
typedef void ring_take(void *context, const struct record *record);

/*
 * Take up to `limit` records, oldest first, with ring_reader_pending() telling whether there are
 * more. While a writer has not finished its record, those behind it are taken all the same. Returns
 * how many were taken or given up; -1: the ring lies (its head went backwards, or too far, or its
 * counts grew by more than writers can have counted): close it. `now_ns`: CLOCK_MONOTONIC.
 */
int ring_reader_read(struct ring_reader *reader, uint64_t now_ns, unsigned limit, ring_take *take,
                     void *context);

/* A connection that a writer has handed over is closed again. */
void ring_reader_took(struct ring_reader *reader);

/* Once a second: what has been on its way since the last time will not come any more, since a
 * writer was killed. */
void ring_reader_settle(struct ring_reader *reader);

/* Tell the program which trials are over: a bit for each, by its number in the policy. */
void ring_reader_tell_ended(struct ring_reader *reader, uint64_t ended);

/* Are the values of a record within their ranges? Pure. */
bool ring_record_is_sane(const struct record *record);

/* Has the ring tickets that were not read? Also true while it waits for a slow writer. */
bool ring_reader_pending(const struct ring_reader *reader);

#endif
