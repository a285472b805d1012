/* SPDX-License-Identifier: MIT */
/*
 * Packets in flight: they arrive by time, then in the order of sending; buffers are neither lost
 * nor used twice.
 */
#include "link/flight.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 100

/* Send a packet that contains its own number. */
static void send_off(struct flight *flight, unsigned number, uint64_t due)
{
    unsigned char *room = flight_room(flight);
    cr_assert_not_null(room);
    memcpy(room, &number, sizeof number);
    flight_add(flight, sizeof number, due);
}

/* Take the next packet; returns its number and its due time. */
static unsigned arrive(struct flight *flight, uint64_t *due)
{
    struct flown first;
    unsigned number;
    cr_assert(flight_first(flight, &first));
    cr_assert_eq(first.size, sizeof number);
    memcpy(&number, first.bytes, sizeof number);
    *due = first.due_ns;
    flight_remove_first(flight);
    return number;
}

static struct flight *open_flight(void)
{
    struct flight *flight = flight_open(ROOM);
    cr_assert_not_null(flight);
    return flight;
}

Test(link_flight, nothing_is_in_flight)
{
    struct flight *flight = open_flight();
    struct flown first;
    cr_expect_not(flight_first(flight, &first));
    flight_close(flight);
}

Test(link_flight, room_is_for_so_many)
{
    struct flight *flight = open_flight();
    uint64_t due;
    for (unsigned i = 0; i < ROOM; i++)
        send_off(flight, i, 7);
    cr_expect_null(flight_room(flight));
    cr_expect_eq(arrive(flight, &due), 0);
    cr_expect_not_null(flight_room(flight));
    flight_close(flight);
}

Test(link_flight, those_due_together_keep_their_order)
{
    struct flight *flight = open_flight();
    uint64_t due;
    for (unsigned i = 0; i < ROOM; i++)
        send_off(flight, i, 7);
    for (unsigned i = 0; i < ROOM; i++)
        cr_expect_eq(arrive(flight, &due), i);
    flight_close(flight);
}

/* Compared with a plain list of packets in flight. */
Test(link_flight, the_first_arrives_first)
{
    struct flight *flight = open_flight();
    uint64_t dues[2000] = {0}, due, random = 1;
    unsigned sent = 0, arrived = 0, first;
    while (arrived < 2000) {
        random = random * 6364136223846793005 + 1442695040888963407;
        if (sent < 2000 && sent - arrived < ROOM && (random >> 60 || sent == arrived)) {
            dues[sent] = 1 + (random >> 40) % 50;
            send_off(flight, sent, dues[sent]);
            sent++;
            continue;
        }
        first = sent;
        for (unsigned i = 0; i < sent; i++)
            if (dues[i] && (first == sent || dues[i] < dues[first]))
                first = i;
        cr_assert_eq(arrive(flight, &due), first);
        cr_assert_eq(due, dues[first]);
        dues[first] = 0;
        arrived++;
    }
    flight_close(flight);
}
