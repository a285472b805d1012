/* SPDX-License-Identifier: MIT */
/*
 * The settings of a direction of an emulated link, and the line of text that changes them, on the
 * command line and at run time: "PATH out|back|both NAME=NUMBER,NAME=NUMBER...".
 */
#ifndef SOCKTUNE_LINK_SETTINGS_H
#define SOCKTUNE_LINK_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#define LINK_NAME_SIZE 16 /* IFNAMSIZ: a path and its interfaces have one name */

enum link_bound {
    LINK_OUT = 1 << 0,  /* near to far */
    LINK_BACK = 1 << 1, /* far to near */
};

struct link_settings {
    uint64_t delay_us;    /* one way */
    uint64_t jitter_us;   /* uniform deviation from the delay, to both sides; the order is kept */
    uint64_t rate_bps;    /* bits per second of IP packets; 0: unlimited, nothing queues */
    uint64_t queue_bytes; /* limit of the transmitter's queue; packets beyond it are dropped */
    uint64_t loss_ppm;    /* packets per million that are lost after the transmitter */
    uint64_t reorder_ppm; /* packets per million that are held back, so others overtake them */
    uint64_t reorder_us;  /* the time for which they are held back */
    uint64_t up;          /* 0: a black hole */
};

/* A plain wire: no delay, no loss, no rate limit; the queue holds 1000 full packets once there is a
 * limit. */
extern const struct link_settings link_default_settings;

/* A parsed line. */
struct link_order {
    char path[LINK_NAME_SIZE];
    unsigned bounds;  /* of enum link_bound */
    const char *list; /* NAME=NUMBER,...: points into the line */
};

/*
 * Parse `line`, except the list, which link_apply() reads. NULL, or the error.
 */
const char *link_parse_order(const char *line, struct link_order *order);

/*
 * Apply `list` and keep all other settings. NULL, or the error; then nothing is changed.
 */
const char *link_apply(struct link_settings *settings, const char *list);

#endif
