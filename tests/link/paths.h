/* SPDX-License-Identifier: MIT */
/*
 * The whole emulated link: two network namespaces, the paths between them, and the counts of
 * packets and of the emulator's lateness.
 */
#ifndef SOCKTUNE_LINK_PATHS_H
#define SOCKTUNE_LINK_PATHS_H

#include "link/flight.h"
#include "link/schedule.h"
#include "link/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PATHS_MAX 4

/* One direction of a path. */
struct way {
    int from, to; /* TUN devices */
    struct link_direction direction;
    struct flight *flight;
    uint64_t no_room; /* packets dropped because all buffers were in use */
};

struct path {
    char name[LINK_NAME_SIZE];
    struct way ways[2]; /* out, back */
};

struct link {
    int near, far; /* namespaces */
    struct path paths[PATHS_MAX];
    size_t path_count;
    uint64_t seed;
    FILE *capture;          /* may be NULL */
    uint64_t late_ns;       /* maximum since the last report */
    uint64_t worst_late_ns; /* maximum since the start */
    uint64_t spun_ns;       /* the last time it waited without sleeping */
    bool fifo;              /* runs under SCHED_FIFO */
};

/*
 * Create the namespaces and the paths that the orders (lines of settings.h, ended by NULL) name.
 * Afterwards the caller is in one of the namespaces. On an error the process exits with a message.
 */
void link_open(struct link *link, char *const *orders);

/* The way of number i, below 2 * path_count: all directions of all paths. */
struct way *link_way(struct link *link, size_t i);

/* Record that an action due at `due` was done at `now`. */
void link_be_late(struct link *link, uint64_t due, uint64_t now);

/* Answer a line of input on standard output: an order, "report", or "restart SEED". */
void link_answer(struct link *link, const char *line);

/* Print one line of JSON: the fate of packets, and the worst lateness since the last report. */
void link_report(struct link *link);

/* Print a message on standard error and exit(1). */
__attribute__((noreturn, format(printf, 1, 2))) void link_die(const char *format, ...);

#endif
