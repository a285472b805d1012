/* SPDX-License-Identifier: MIT */
/*
 * The fate of a packet on one direction of an emulated link: a transmitter with a rate and a queue,
 * then a wire that delays, loses and reorders. The caller provides the time, and random numbers
 * depend only on seed and packet number: the same seed loses the same packets.
 */
#ifndef SOCKTUNE_LINK_SCHEDULE_H
#define SOCKTUNE_LINK_SCHEDULE_H

#include "link/settings.h"

#include <stddef.h>
#include <stdint.h>

enum link_fate { LINK_PASSES, LINK_LOST, LINK_OVERFLOWS, LINK_DOWN, LINK_FATES };

struct link_direction {
    struct link_settings settings;
    uint64_t seed;
    uint64_t packets;            /* offered so far: the number of the next packet */
    uint64_t idle_ns;            /* when the transmitter has sent its queue */
    uint64_t latest_ns;          /* when the last packet that was not held back arrives */
    uint64_t counts[LINK_FATES]; /* packets by fate */
    uint64_t bytes_passed;
};

/*
 * Offer a packet of `size` bytes at `now_ns`, which must not decrease. Returns its fate and, if it
 * passes, its arrival time in *due_ns.
 */
enum link_fate link_schedule(struct link_direction *direction, uint64_t now_ns, size_t size,
                             uint64_t *due_ns);

#endif
