/* SPDX-License-Identifier: MIT */
/*
 * The fate of packets on an emulated link.
 */
#include "link/schedule.h"

#define MILLION 1000000ULL
#define BILLION 1000000000ULL

/* Random decisions about a packet. */
enum draw { DRAW_LOSS, DRAW_JITTER, DRAW_REORDER, DRAWS };

/*
 * 64 random bits for a packet: the output function of SplitMix64 (Steele, Lea, Flood 2014) over a
 * counter, so that a packet's random numbers do not depend on the fate of earlier packets.
 */
static uint64_t draw(const struct link_direction *direction, enum draw what)
{
    uint64_t bits =
        direction->seed + 0x9e3779b97f4a7c15 * (direction->packets * DRAWS + (uint64_t)what + 1);
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return bits ^ bits >> 31;
}

/* True for `ppm` packets of a million. */
static int happens(const struct link_direction *direction, enum draw what, uint64_t ppm)
{
    return draw(direction, what) % MILLION < ppm;
}

/* Pass a packet to the transmitter: when it is sent, or false if the queue is full. */
static int transmit(struct link_direction *direction, uint64_t now_ns, size_t size,
                    uint64_t *sent_ns)
{
    uint64_t rate = direction->settings.rate_bps;
    uint64_t start = direction->idle_ns > now_ns ? direction->idle_ns : now_ns;
    *sent_ns = now_ns;
    if (!rate)
        return 1;
    /* The queue is what the transmitter will send before it is idle; a packet that finds it idle
     * always fits. Doubles: the product exceeds 64 bits if a slow link has a long queue. */
    if (start > now_ns && (double)(start - now_ns) * (double)rate / 8e9 + (double)size >
                              (double)direction->settings.queue_bytes)
        return 0;
    *sent_ns = direction->idle_ns = start + (size * 8 * BILLION + rate / 2) / rate;
    return 1;
}

/* The packet's time on the wire, in us, never negative. */
static uint64_t delay_of(const struct link_direction *direction)
{
    uint64_t delay = direction->settings.delay_us, jitter = direction->settings.jitter_us;
    uint64_t chance = jitter ? draw(direction, DRAW_JITTER) % (2 * jitter + 1) : 0;
    return delay + chance > jitter ? delay + chance - jitter : 0;
}

/* When a packet sent at `sent_ns` arrives: after earlier packets, unless it is held back. */
static uint64_t arrival(struct link_direction *direction, uint64_t sent_ns)
{
    uint64_t due = sent_ns + delay_of(direction) * 1000;
    if (due < direction->latest_ns)
        due = direction->latest_ns;
    if (happens(direction, DRAW_REORDER, direction->settings.reorder_ppm))
        return due + direction->settings.reorder_us * 1000;
    direction->latest_ns = due;
    return due;
}

enum link_fate link_schedule(struct link_direction *direction, uint64_t now_ns, size_t size,
                             uint64_t *due_ns)
{
    enum link_fate fate = LINK_PASSES;
    uint64_t sent_ns;
    if (!direction->settings.up)
        fate = LINK_DOWN;
    else if (!transmit(direction, now_ns, size, &sent_ns))
        fate = LINK_OVERFLOWS;
    else if (happens(direction, DRAW_LOSS, direction->settings.loss_ppm))
        fate = LINK_LOST;
    else {
        *due_ns = arrival(direction, sent_ns);
        direction->bytes_passed += size;
    }
    direction->packets++;
    direction->counts[fate]++;
    return fate;
}
