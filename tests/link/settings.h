/* SPDX-License-Identifier: MIT */
/*
 * What a direction of an emulated link does to packets, and the one line of text that sets it, on
 * the command line and at run time: "PATH out|back|both NAME=NUMBER,NAME=NUMBER...".
 */
#ifndef SOCKTUNE_LINK_SETTINGS_H
#define SOCKTUNE_LINK_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#define LINK_NAME_SIZE 16 /* IFNAMSIZ: a path is named as its interfaces are */

enum link_bound {
    LINK_OUT = 1 << 0,  /* near to far */
    LINK_BACK = 1 << 1, /* far to near */
};

struct link_settings {
    uint64_t delay_us;    /* one way */
    uint64_t jitter_us;   /* added to or taken from the delay, evenly spread; order is kept */
    uint64_t rate_bps;    /* bits a second of IP packets; 0: unlimited, nothing queues */
    uint64_t queue_bytes; /* that may wait for the transmitter; more is dropped */
    uint64_t loss_ppm;    /* packets of a million that are lost behind the transmitter */
    uint64_t reorder_ppm; /* packets of a million that are held back, while others overtake */
    uint64_t reorder_us;  /* for how long */
    uint64_t up;          /* 0: a black hole */
};

/* Nothing but a wire: no delay, no loss, no limit; a queue of 1000 full packets once there is. */
extern const struct link_settings link_default_settings;

/* A line taken apart. */
struct link_order {
    char path[LINK_NAME_SIZE];
    unsigned bounds;  /* of enum link_bound */
    const char *list; /* NAME=NUMBER,...: points into the line */
};

/*
 * Take `line` apart; the list is left for link_apply(). NULL, or what is wrong with it.
 */
const char *link_parse_order(const char *line, struct link_order *order);

/*
 * Change what `list` names and leave the rest. NULL, or what is wrong with it: then nothing is
 * changed.
 */
const char *link_apply(struct link_settings *settings, const char *list);

#endif
