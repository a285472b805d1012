/* SPDX-License-Identifier: MIT */
/*
 * Histories in a hash table, and bars that show them.
 */
#include "top_history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The field behind each series. A total is shown as its increase per second. */
static const struct {
    enum tcp_info_id figure;
    bool total;
} sources[SERIES_COUNT] = {
    [SERIES_RTT] = {TCP_INFO_rtt, false},
    [SERIES_CWND] = {TCP_INFO_snd_cwnd, false},
    [SERIES_SENT] = {TCP_INFO_bytes_sent, true},
    [SERIES_RECEIVED] = {TCP_INFO_bytes_received, true},
    [SERIES_RETRANSMITTED] = {TCP_INFO_bytes_retrans, true},
};

static struct history *history_new(struct histories *all, const char *id)
{
    struct history *history = calloc(1, sizeof *history);
    if (history == NULL)
        return NULL;
    history->id = strdup(id);
    if (history->id == NULL) {
        free(history);
        return NULL;
    }
    history->sampled = NAN;
    HASH_ADD_KEYPTR(handle, all->by_id, history->id, strlen(history->id), history);
    return history;
}

static void history_free(struct history *history)
{
    free(history->id);
    free(history->json);
    free(history);
}

static struct history *history_lookup(const struct histories *all, const char *id)
{
    struct history *history;
    HASH_FIND(handle, all->by_id, id, strlen(id), history);
    return history;
}

const struct history *history_find(const struct histories *all, const char *id)
{
    return history_lookup(all, id);
}

static void add_point(struct history *history, const struct reported *connection)
{
    double seconds = connection->sampled - history->sampled; /* NAN at first */
    if (history->count == HISTORY_POINTS) {
        history->count--;
        for (unsigned i = 0; i < SERIES_COUNT; i++)
            memmove(history->points[i], history->points[i] + 1,
                    history->count * sizeof *history->points[i]);
    }
    for (unsigned i = 0; i < SERIES_COUNT; i++) {
        double figure = connection->figures[sources[i].figure];
        history->points[i][history->count] =
            (float)(sources[i].total ? (figure - history->totals[i]) / seconds : figure);
        history->totals[i] = figure;
    }
    history->count++;
    history->sampled = connection->sampled;
}

void history_note(struct histories *all, const struct reported *connection, const json_t *object)
{
    const char *id = connection->texts[TEXT_ID];
    struct history *history = history_lookup(all, id);
    char *json = json_dumps(object, JSON_COMPACT);
    if (history == NULL)
        history = history_new(all, id);
    if (history == NULL) {
        free(json);
        return;
    }
    history->round = all->round;
    if (json != NULL) {
        free(history->json);
        history->json = json;
    }
    /* Compared with !=, because the clock may have been set back. */
    if (!isnan(connection->sampled) &&
        (isnan(history->sampled) || fabs(connection->sampled - history->sampled) > 1e-6))
        add_point(history, connection);
}

void histories_sweep(struct histories *all, const char *kept)
{
    struct history *next;
    for (struct history *history = all->by_id; history != NULL; history = next) {
        next = history->handle.next;
        if (history->round == all->round || (kept != NULL && strcmp(history->id, kept) == 0))
            continue;
        /* The analyzer does not see that a freed entry is no longer in the table. */
        HASH_DELETE(handle, all->by_id, history); /* NOLINT(clang-analyzer-unix.Malloc) */
        history_free(history);
    }
    all->round++;
}

void histories_free(struct histories *all)
{
    struct history *history = all->by_id, *next;
    HASH_CLEAR(handle, all->by_id); /* only the table, not the entries */
    for (; history != NULL; history = next) {
        next = history->handle.next;
        history_free(history);
    }
}

void history_sparkline(const struct history *history, enum history_series series, unsigned width,
                       bool utf8, char text[SPARKLINE_SIZE])
{
    static const char *const bars[2][8] = {
        {"_", ".", ":", "-", "=", "+", "*", "#"},
        {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"}};
    const float *points = history->points[series];
    unsigned first = history->count > width ? history->count - width : 0;
    float largest = 0;
    char *end = text;
    for (unsigned i = first; i < history->count; i++)
        largest = points[i] > largest ? points[i] : largest; /* not NAN */
    for (unsigned i = first; i < history->count; i++) {
        unsigned height = points[i] > 0 ? (unsigned)(points[i] / largest * 7.999F) : 0;
        end = stpcpy(end, isnan(points[i]) ? " " : bars[utf8][height]);
    }
    *end = '\0';
}
