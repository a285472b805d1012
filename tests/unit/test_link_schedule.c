/* SPDX-License-Identifier: MIT */
/*
 * The fate of packets on an emulated link: rate and queue exact to the nanosecond, random events by
 * the seed.
 */
#include "link/schedule.h"

#include <criterion/criterion.h>

#define FULL 1500
#define MS   1000000ULL
#define US   1000ULL

static struct link_direction direction_with(const char *list)
{
    struct link_direction direction = {.settings = link_default_settings, .seed = 1};
    const char *wrong = link_apply(&direction.settings, list);
    cr_assert_null(wrong, "%s: %s", list, wrong);
    return direction;
}

/* Offer a packet that must pass; returns its arrival time. */
static uint64_t pass(struct link_direction *direction, uint64_t now, size_t size)
{
    uint64_t due = 0;
    cr_assert_eq(link_schedule(direction, now, size, &due), LINK_PASSES);
    return due;
}

Test(link_schedule, a_wire_of_no_length)
{
    struct link_direction direction = direction_with("");
    cr_expect_eq(pass(&direction, 5, FULL), 5);
    cr_expect_eq(direction.bytes_passed, FULL);
}

Test(link_schedule, delay)
{
    struct link_direction direction = direction_with("delay_us=10000");
    cr_expect_eq(pass(&direction, 7, FULL), 7 + 10 * MS);
}

/* 12 Mbit/s: a full packet takes 1 ms. */
Test(link_schedule, rate)
{
    struct link_direction direction = direction_with("rate_bps=12000000,delay_us=100");
    cr_expect_eq(pass(&direction, 0, FULL), 1 * MS + 100 * US);
    cr_expect_eq(pass(&direction, 0, FULL), 2 * MS + 100 * US, "it waits for the one before it");
    cr_expect_eq(pass(&direction, 10 * MS, FULL / 2), 10 * MS + 500 * US + 100 * US);
}

Test(link_schedule, a_rate_is_kept_over_many_packets)
{
    struct link_direction direction = direction_with("rate_bps=500000000,queue_bytes=1000000000");
    uint64_t due = 0;
    for (int i = 0; i < 500000; i++)
        due = pass(&direction, 0, 1250);
    cr_expect_eq(due, 10000 * MS, "5 Gbit at 500 Mbit/s end at %llu ns", (unsigned long long)due);
}

Test(link_schedule, queue)
{
    struct link_direction direction = direction_with("rate_bps=12000000,queue_bytes=3000");
    uint64_t due;
    for (int i = 0; i < 2; i++)
        pass(&direction, 0, FULL);
    cr_expect_eq(link_schedule(&direction, 1, FULL, &due), LINK_OVERFLOWS);
    cr_expect_eq(pass(&direction, 1 * MS, FULL), 3 * MS, "room is made as packets are sent");
    cr_expect_eq(direction.counts[LINK_OVERFLOWS], 1);
    cr_expect_eq(direction.counts[LINK_PASSES], 3);
}

Test(link_schedule, an_idle_transmitter_takes_any_packet)
{
    struct link_direction direction = direction_with("rate_bps=12000000,queue_bytes=0");
    cr_expect_eq(pass(&direction, 0, FULL), 1 * MS);
    cr_expect_eq(pass(&direction, 1 * MS, FULL), 2 * MS);
}

Test(link_schedule, a_rate_that_changes)
{
    struct link_direction direction = direction_with("rate_bps=12000000");
    pass(&direction, 0, FULL);
    cr_assert_null(link_apply(&direction.settings, "rate_bps=1200000"));
    cr_expect_eq(pass(&direction, 0, FULL), 11 * MS);
}

Test(link_schedule, down_and_up)
{
    struct link_direction direction = direction_with("up=0");
    uint64_t due;
    cr_expect_eq(link_schedule(&direction, 0, FULL, &due), LINK_DOWN);
    cr_assert_null(link_apply(&direction.settings, "up=1"));
    cr_expect_eq(pass(&direction, 9, FULL), 9);
    cr_expect_eq(direction.packets, 2);
}

/* Which of 64 packets are lost, as a bit mask. */
static uint64_t losses(struct link_direction *direction)
{
    uint64_t lost = 0, due;
    for (int i = 0; i < 64; i++)
        lost |= (uint64_t)(link_schedule(direction, 0, FULL, &due) == LINK_LOST) << i;
    return lost;
}

Test(link_schedule, the_seed_tells_which_packets_are_lost)
{
    struct link_direction one = direction_with("loss_ppm=300000");
    struct link_direction same = one, other = one, late = one;
    uint64_t lost = losses(&one);
    other.seed = 2;
    cr_expect_eq(losses(&same), lost);
    cr_expect_neq(losses(&other), lost);
    /* Losses depend only on the packet numbers, not on jitter or reordering. */
    late.settings.jitter_us = 100;
    late.settings.reorder_ppm = 500000;
    cr_expect_eq(losses(&late), lost);
    cr_expect_neq(losses(&one), lost, "later packets have other losses");
}

Test(link_schedule, loss_is_as_frequent_as_asked)
{
    static const unsigned rates[] = {1000, 10000, 500000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct link_direction direction = direction_with("");
        uint64_t due, expected = rates[i];
        direction.settings.loss_ppm = rates[i];
        for (int n = 0; n < 1000000; n++)
            link_schedule(&direction, 0, FULL, &due);
        /* Four standard deviations; the fixed seed makes the result reproducible. */
        cr_expect_float_eq((double)direction.counts[LINK_LOST], (double)expected,
                           4 * __builtin_sqrt((double)expected));
    }
}

Test(link_schedule, all_or_nothing_is_lost)
{
    struct link_direction all = direction_with("loss_ppm=1000000");
    struct link_direction none = direction_with("loss_ppm=0");
    cr_expect_eq(losses(&all), UINT64_MAX);
    cr_expect_eq(losses(&none), 0);
}

/* Packets that are too far apart to overtake each other have delays evenly spread over the
 * jitter. */
Test(link_schedule, jitter_spreads_evenly)
{
    struct link_direction direction = direction_with("delay_us=10000,jitter_us=2000");
    uint64_t least = UINT64_MAX, most = 0, sum = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t delay = pass(&direction, i * 10 * MS, FULL) - i * 10 * MS;
        least = delay < least ? delay : least;
        most = delay > most ? delay : most;
        sum += delay;
    }
    cr_expect_geq(least, 8 * MS);
    cr_expect_leq(least, 8 * MS + 10 * US);
    cr_expect_leq(most, 12 * MS);
    cr_expect_geq(most, 12 * MS - 10 * US);
    cr_expect_float_eq((double)sum / 10000, 10e6, 50e3);
}

Test(link_schedule, jitter_keeps_order)
{
    struct link_direction direction = direction_with("delay_us=1000,jitter_us=2000");
    uint64_t before = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t due = pass(&direction, i * 100 * US, FULL);
        cr_assert_geq(due, before);
        cr_assert_geq(due, i * 100 * US, "none arrives before it is sent");
        before = due;
    }
}

Test(link_schedule, who_is_held_back_is_overtaken)
{
    struct link_direction direction =
        direction_with("delay_us=1000,reorder_ppm=100000,reorder_us=5000");
    unsigned held = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t now = i * 100 * US, due = pass(&direction, now, FULL);
        cr_assert(due == now + 1 * MS || due == now + 6 * MS);
        held += due == now + 6 * MS;
    }
    cr_expect_float_eq((double)held, 1000.0, 100.0);
}
