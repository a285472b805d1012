/* SPDX-License-Identifier: MIT */
/*
 * The history of each connection in `top`: its last figures over time, and its JSON.
 */
#ifndef SOCKTUNE_TOP_HISTORY_H
#define SOCKTUNE_TOP_HISTORY_H

#include "reported.h"

#include <uthash.h>

#define HISTORY_POINTS 60

enum history_series {
    SERIES_RTT,
    SERIES_CWND,
    SERIES_SENT,          /* bytes per second since the previous sample */
    SERIES_RECEIVED,      /* the same */
    SERIES_RETRANSMITTED, /* the same */
    SERIES_COUNT
};

/* One connection. Each new sample of the helper adds a point; there are `count`, the newest last.
 * NAN: unknown. */
struct history {
    char *id;   /* owned */
    char *json; /* owned; the helper's last answer */
    float points[SERIES_COUNT][HISTORY_POINTS];
    unsigned count;
    double sampled; /* of the newest point */
    double totals[SERIES_COUNT];
    unsigned round;
    UT_hash_handle handle;
};

/* All histories, by the connection's id. Initialised with {0}. */
struct histories {
    struct history *by_id;
    unsigned round;
};

/* Add the current sample of a connection. If memory is exhausted, its history does not change. */
void history_note(struct histories *all, const struct reported *connection, const json_t *object);

const struct history *history_find(const struct histories *all, const char *id);

/* Remove histories that got no history_note() since the last call, except that of `kept` (may be
 * NULL). */
void histories_sweep(struct histories *all, const char *kept);
void histories_free(struct histories *all);

/* Room for HISTORY_POINTS characters of UTF-8. */
#define SPARKLINE_SIZE (HISTORY_POINTS * 3 + 1)

/* The series as a line of bars of eight heights, from 0 to its maximum: the last `width` points at
 * most; in ASCII if not `utf8`. */
void history_sparkline(const struct history *history, enum history_series series, unsigned width,
                       bool utf8, char text[SPARKLINE_SIZE]);

#endif
