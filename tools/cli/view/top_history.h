/* SPDX-License-Identifier: MIT */
/*
 * What `top` remembers of each connection: its last figures over time, and its JSON.
 */
#ifndef SOCKTUNE_TOP_HISTORY_H
#define SOCKTUNE_TOP_HISTORY_H

#include "reported.h"

#include <uthash.h>

#define HISTORY_POINTS 60

enum history_series {
    SERIES_RTT,
    SERIES_CWND,
    SERIES_SENT,          /* bytes a second, since the sample before */
    SERIES_RECEIVED,      /* the same */
    SERIES_RETRANSMITTED, /* the same */
    SERIES_COUNT
};

/* One connection. A point is added for each new sample of the helper's; there are `count`, the
 * newest last. NAN: not known. */
struct history {
    char *id;   /* own */
    char *json; /* own; the helper's last answer */
    float points[SERIES_COUNT][HISTORY_POINTS];
    unsigned count;
    double sampled; /* of the newest point */
    double totals[SERIES_COUNT];
    unsigned round;
    UT_hash_handle handle;
};

/* All of them, by the connection's id. Begins as {0}. */
struct histories {
    struct history *by_id;
    unsigned round;
};

/* Add the current sample of a connection. Without memory, its history does not change. */
void history_note(struct histories *all, const struct reported *connection, const json_t *object);

const struct history *history_find(const struct histories *all, const char *id);

/* Forget those not noted since the last call, but for `kept` (may be NULL). */
void histories_sweep(struct histories *all, const char *kept);
void histories_free(struct histories *all);

/* Room for HISTORY_POINTS characters of UTF-8. */
#define SPARKLINE_SIZE (HISTORY_POINTS * 3 + 1)

/* The series as a line of bars of eight heights from 0 to its largest value, the last `width`
 * points at most; of ASCII if not `utf8`. */
void history_sparkline(const struct history *history, enum history_series series, unsigned width,
                       bool utf8, char text[SPARKLINE_SIZE]);

#endif
