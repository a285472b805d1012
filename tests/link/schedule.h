/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a packet on one direction of an emulated link: a transmitter of a given rate with
 * a queue before it, then a wire that delays, loses and reorders. Time is the caller's, and chance
 * is a function of seed and packet number alone: the same seed loses the same packets.
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
    uint64_t packets;            /* offered so far: the number of the next one */
    uint64_t idle_ns;            /* when the transmitter has sent all that waits */
    uint64_t latest_ns;          /* when the last packet that keeps its place arrives */
    uint64_t counts[LINK_FATES]; /* packets, by what became of them */
    uint64_t bytes_passed;
};

/*
 * A packet of `size` bytes is offered at `now_ns`, which never goes back. Returns its fate and, if
 * it passes, when it arrives in *due_ns.
 */
enum link_fate link_schedule(struct link_direction *direction, uint64_t now_ns, size_t size,
                             uint64_t *due_ns);

#endif
