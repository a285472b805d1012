/* SPDX-License-Identifier: MIT */
/*
 * The reader's end of a BPF ring buffer, through which the programs of `socktune attach` report
 * (preload/wire/attach_report.h).
 *
 * libbpf would need bpf(2), which the service may not call; two mappings are enough. Only the
 * kernel writes to the ring, and only root or the helper's own user passes one. Still, each report
 * is checked, and the names are copied once.
 */
#ifndef SOCKTUNE_HELPER_REPORT_RING_H
#define SOCKTUNE_HELPER_REPORT_RING_H

#include "attach_report.h"

#include <stdbool.h>
#include <stddef.h>

struct report_ring {
    uint8_t *consumer;             /* a page: the reader's position */
    const uint8_t *producer;       /* a page: the writers' position; the data follows */
    struct attach_channel *shared; /* NULL: the reader is empty */
    struct attach_channel *names;  /* a copy; names are terminated and have no control characters */
    size_t size;                   /* of the data; a power of two */
    uint64_t lost;                 /* as last returned by report_ring_count_lost() */
    uint64_t malformed;            /* reports with invalid values */
};

/* True if it is a descriptor of a BPF map. Never blocks. */
bool report_ring_is_map(int fd);

/* Check the message of a program that passes such a ring. Returns NULL, or a static English phrase
 * that says what is wrong. Pure. */
const char *report_ring_check_message(const void *message, size_t size, struct attach_message *to);
bool report_ring_is_message(const void *message, size_t size);

/* Check and map the two maps. The descriptors stay the caller's and may be closed at once. Returns
 * NULL, or a static English phrase that says what is wrong; then the reader is empty. */
const char *report_ring_open(struct report_ring *ring, int reports, int channel);

/* The second half of report_ring_open(), for tests: `size` bytes of data, without checking the type
 * of the descriptors. */
const char *report_ring_map(struct report_ring *ring, int reports, size_t size, int channel);

/* Unmap. Does nothing for an empty reader. */
void report_ring_close(struct report_ring *ring);

/* Renew the heartbeat, every second. `now` is CLOCK_MONOTONIC in ns; 0: nobody reads any more. */
void report_ring_beat(const struct report_ring *ring, uint64_t now);

/* True if the attachment has ended. */
bool report_ring_is_closed(const struct report_ring *ring);

/* Returns the number of reports lost since the last call because the ring was full. */
uint64_t report_ring_count_lost(struct report_ring *ring);

/* Called with a report, which is valid only during the call and whose values are within their
 * ranges. Unless the report is ATTACH_ENDED, the fields from `info` on are invalid. */
typedef void report_take(void *context, const struct attach_report *report);

/* Read up to `limit` reports, oldest first. Returns their number. */
unsigned report_ring_read(struct report_ring *ring, unsigned limit, report_take *take,
                          void *context);

/* True if the values of a report of `length` bytes are within their ranges. Pure. */
bool report_is_sane(const struct attach_report *report, size_t length,
                    const struct attach_channel *names);

#endif
