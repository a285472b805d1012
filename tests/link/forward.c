/* SPDX-License-Identifier: MIT */
/*
 * Forwarding: packets are read from one device and written to the other when they are due.
 */
#include "link/forward.h"

#include "link/capture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define BATCH        32        /* packets read before due packets are written */
#define TURNS        64        /* before standard input is checked */
#define SPIN_NS      100000ULL /* the last part of a sleep is a busy wait */
#define SPIN_SHARE   4         /* the interval between busy waits, in multiples of SPIN_NS */
#define HEARTBEAT_NS 1000000   /* the longest sleep, so lateness is noticed even when idle */
#define BILLION      1000000000ULL

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * BILLION + (uint64_t)now.tv_nsec;
}

/* Multicast that the kernel sends by itself is not forwarded: it would shift the numbers of all
 * later packets, and so which of them are lost. */
static bool is_multicast(const unsigned char *packet, size_t size)
{
    return size && (packet[0] >> 4 == 4 ? size > 16 && packet[16] >> 4 == 14
                                        : size > 24 && packet[24] == 0xff);
}

/* Write packets that are due. A device whose queue is full drops them, as an interface does. */
static void deliver(struct link *link, struct way *way)
{
    struct flown first;
    uint64_t now = now_ns();
    while (flight_first(way->flight, &first) && first.due_ns <= now) {
        link_be_late(link, first.due_ns, now);
        if (write(way->to, first.bytes, first.size) < 0 && errno == EBADFD)
            link_die("the device is gone");
        flight_remove_first(way->flight);
        now = now_ns();
    }
}

/* Read a packet from a device. Returns false if there is none. */
static bool take(struct link *link, struct way *way)
{
    static unsigned char overflow[FLIGHT_PACKET_SIZE];
    unsigned char *bytes = flight_room(way->flight);
    ssize_t size = read(way->from, bytes != NULL ? bytes : overflow, FLIGHT_PACKET_SIZE);
    struct timespec wall;
    uint64_t due;
    if (size <= 0)
        return false;
    if (is_multicast(bytes != NULL ? bytes : overflow, (size_t)size))
        return true;
    if (link->capture != NULL) {
        clock_gettime(CLOCK_REALTIME, &wall);
        capture_packet(link->capture, wall, bytes != NULL ? bytes : overflow, (size_t)size);
    }
    if (bytes == NULL)
        way->no_room++;
    else if (link_schedule(&way->direction, now_ns(), (size_t)size, &due) == LINK_PASSES)
        flight_add(way->flight, (size_t)size, due);
    return true;
}

/* Serve all ways once. Returns true if packets arrived; *next is when the first packet is due. */
static bool turn(struct link *link, uint64_t *next)
{
    bool came = false;
    struct flown first;
    *next = UINT64_MAX;
    for (size_t i = 0; i < 2 * link->path_count; i++) {
        struct way *way = link_way(link, i);
        for (int n = 0; n < BATCH && take(link, way); n++)
            came = true;
        deliver(link, way);
        if (flight_first(way->flight, &first) && first.due_ns < *next)
            *next = first.due_ns;
    }
    return came;
}

/*
 * Sleep until input arrives or `next`. Returns true if there is input.
 *
 * The last part of a sleep is a busy wait, because timers fire late, but not if sleeps are
 * frequent. A process that never sleeps starves all others on its processor; then the kernel
 * (fair_server of sched/deadline.c) suspends it for 50 ms.
 */
static bool rest(struct link *link, uint64_t next)
{
    struct pollfd polled[2 * PATHS_MAX + 1] = {{.fd = STDIN_FILENO, .events = POLLIN}};
    uint64_t now = now_ns(), heartbeat = now + HEARTBEAT_NS;
    uint64_t until = next < heartbeat ? next : heartbeat;
    bool spins = until == next && now > link->spun_ns + SPIN_NS * SPIN_SHARE;
    uint64_t timer = until - (spins ? SPIN_NS : 0);
    struct timespec timeout = {.tv_nsec = timer > now ? (long)(timer - now) : 0};
    for (size_t i = 0; i < 2 * link->path_count; i++)
        polled[i + 1] = (struct pollfd){.fd = link_way(link, i)->from, .events = POLLIN};
    if (ppoll(polled, 2 * link->path_count + 1, &timeout, NULL) == 0 && spins)
        while ((link->spun_ns = now_ns()) < until)
            ;
    link_be_late(link, until, now_ns());
    return polled[0].revents;
}

void link_forward(struct link *link)
{
    char line[1024];
    uint64_t next;
    for (unsigned turns = 0;; turns++) {
        /* Handle input even if the link is never idle. */
        if (turn(link, &next) && turns % TURNS)
            continue;
        if (rest(link, next)) {
            if (fgets(line, sizeof line, stdin) == NULL)
                return;
            link_answer(link, line);
            fflush(stdout);
        }
    }
}
