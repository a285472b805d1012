/* SPDX-License-Identifier: MIT */
/*
 * The reader's end of a BPF ring buffer, through which the programs of `socktune attach` report
 * (preload/wire/attach_report.h).
 *
 * libbpf could read it, but by bpf(2), which the service is not allowed to call; two mappings do.
 * Only the kernel writes to the ring, and only root or the helper's own user passes one. Even so,
 * each report is checked, and the names are copied once.
 */
#ifndef SOCKTUNE_HELPER_REPORT_RING_H
#define SOCKTUNE_HELPER_REPORT_RING_H

#include "attach_report.h"

#include <stdbool.h>
#include <stddef.h>

struct report_ring {
    uint8_t *consumer;             /* a page: how far the reader is */
    const uint8_t *producer;       /* a page: how far the writers are; the data lies behind it */
    struct attach_channel *shared; /* NULL: the reader is empty */
    struct attach_channel *names;  /* a copy, in which names end and hold no control characters */
    size_t size;                   /* of the data; a power of two */
    uint64_t lost;                 /* as last told */
    uint64_t malformed;            /* reports that make no sense */
};

/* Is it a descriptor of a BPF map? Asks nobody who could keep the caller waiting. */
bool report_ring_is_map(int fd);

/* The message of a program that passes such a ring. Returns NULL, or a static English phrase that
 * says what is wrong. Pure. */
const char *report_ring_check_message(const void *message, size_t size, struct attach_message *to);
bool report_ring_is_message(const void *message, size_t size);

/* Check and map the two maps. The descriptors stay the caller's and may be closed at once. Returns
 * NULL, or a static English phrase that says what is wrong; the reader is then empty. */
const char *report_ring_open(struct report_ring *ring, int reports, int channel);

/* The second half of it, for tests: `size` bytes of data, without a look at what the descriptors
 * are. */
const char *report_ring_map(struct report_ring *ring, int reports, size_t size, int channel);

/* Unmap. Harmless on an empty reader. */
void report_ring_close(struct report_ring *ring);

/* Tell the writers that somebody reads: every second. `now`: CLOCK_MONOTONIC ns; 0: nobody reads
 * any more. */
void report_ring_beat(const struct report_ring *ring, uint64_t now);

/* Has the attachment ended? */
bool report_ring_is_closed(const struct report_ring *ring);

/* Reports that were lost since the last call, since the ring was full. */
uint64_t report_ring_count_lost(struct report_ring *ring);

/* The report is borrowed for the call; its values are within their ranges. Of one that is not
 * ATTACH_ENDED there is nothing from `info` on. */
typedef void report_take(void *context, const struct attach_report *report);

/* Take up to `limit` reports, oldest first. Returns how many. */
unsigned report_ring_read(struct report_ring *ring, unsigned limit, report_take *take,
                          void *context);

/* Are the values of a report of so many bytes within their ranges? Pure. */
bool report_is_sane(const struct attach_report *report, size_t length,
                    const struct attach_channel *names);

#endif
