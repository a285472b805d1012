/* SPDX-License-Identifier: MIT */
#include "connection_columns.h"
#include "human.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Contents of cells */

static const char *text_of(const void *row, int index)
{
    const struct reported *connection = row;
    bool closed = *connection->texts[TEXT_REASON] != '\0';
    /* Closed connections all have the same state; a reason is shown instead. */
    return index == TEXT_STATE && closed ? "" : connection->texts[index];
}

/* In a listener's tcp_info, some fields describe the accept queue instead. */
static double field_of(const void *row, int index, double now)
{
    const struct reported *connection = row;
    (void)now;
    return reported_listens(connection) ? NAN : connection->figures[index];
}

static double pid_of(const void *row, int index, double now)
{
    (void)index, (void)now;
    return (double)((const struct reported *)row)->pid;
}

static double age_of(const void *row, int index, double now)
{
    (void)index;
    return reported_age(row, now);
}

/* For a closed connection this is its duration, which may be a few milliseconds. */
static void age_cell(const void *row, double now, char text[CELL_SIZE])
{
    const struct reported *connection = row;
    double age = reported_age(connection, now);
    if (!isnan(connection->closed) && age < 10)
        human_microseconds(age > 0 ? age * 1e6 : 0, text);
    else if (!isnan(age))
        human_age(age, text);
}

static double resent_of(const void *row, int index, double now)
{
    double sent = field_of(row, TCP_INFO_bytes_sent, now);
    (void)index;
    return sent > 0 ? field_of(row, TCP_INFO_bytes_retrans, now) / sent : sent;
}

static double rate_of(const void *row, int index, double now)
{
    (void)index, (void)now;
    return reported_rate(row);
}

static double limit_of(const void *row, int index, double now)
{
    double share = NAN;
    (void)index, (void)now;
    return reported_limit(row, &share) != NULL ? share : NAN;
}

static double queue_of(const void *row, int index, double now)
{
    (void)index, (void)now;
    return ((const struct reported *)row)->queue;
}

static double dropped_of(const void *row, int index, double now)
{
    (void)index, (void)now;
    return ((const struct reported *)row)->dropped;
}

static double refused_of(const void *row, int index, double now)
{
    const struct reported *connection = row;
    (void)index, (void)now;
    return connection->refused ? (double)connection->refused : NAN;
}

/* "receiver 95%", or "application" without a share, which is unknown. */
static void limit_cell(const void *row, double now, char text[CELL_SIZE])
{
    double share = NAN;
    const char *limit = reported_limit(row, &share);
    (void)now;
    if (limit != NULL && share > 0)
        snprintf(text, CELL_SIZE, "%s %.0f%%", limit, share * 100);
    else if (limit != NULL)
        snprintf(text, CELL_SIZE, "%s", limit);
}

/* A program that sends less than the path can carry measures only a lower bound of the rate. */
static void rate_cell(const void *row, double now, char text[CELL_SIZE])
{
    const struct reported *connection = row;
    double rate = reported_rate(connection);
    bool least = connection->figures[TCP_INFO_app_limited] > 0;
    (void)now;
    if (isnan(rate))
        return;
    if (least)
        *text = '>';
    human_bytes(rate, text + least);
}

static void queue_cell(const void *row, double now, char text[CELL_SIZE])
{
    const struct reported *connection = row;
    (void)now;
    if (isnan(connection->queue))
        return;
    if (reported_is_datagram(connection)) {
        human_bytes(connection->queue, text);
        return;
    }
    snprintf(text, CELL_SIZE, "%.0f", connection->queue);
    if (!isnan(connection->queue_limit))
        snprintf(text + strlen(text), CELL_SIZE - strlen(text), "/%.0f", connection->queue_limit);
}

/* The table */

/* clang-format off */
static const struct column own_columns[] = {
    /* key          heading      index            text     number      format         cell        width place importance left */
    {"program",     "PROGRAM",   TEXT_PROGRAM,    text_of, NULL,       NULL,          NULL,       16,  10,   1,  false},
    {"pid",         "PID",       0,               NULL,    pid_of,     NULL,          NULL,       10,  20,  10,  false},
    {"rule",        "RULE",      TEXT_RULE,       text_of, NULL,       NULL,          NULL,       20,  30,  12,  false},
    {"role",        "ROLE",      TEXT_ROLE,       text_of, NULL,       NULL,          NULL,       10,  40,   5,  false},
    {"local",       "LOCAL",     TEXT_LOCAL,      text_of, NULL,       NULL,          NULL,       48,  50,  11,  false},
    {"remote",      "REMOTE",    TEXT_REMOTE,     text_of, NULL,       NULL,          NULL,       48,  60,   2,  false},
    {"state",       "STATE",     TEXT_STATE,      text_of, NULL,       NULL,          NULL,       12,  70,   9,  false},
    {"reason",      "REASON",    TEXT_REASON,     text_of, NULL,       NULL,          NULL,       12,  80,   6,  false},
    {"age",         "AGE",       0,               NULL,    age_of,     NULL,          age_cell,   8,   90,   9,  false},
    {"loss",        "RESENT%",   0,               NULL,    resent_of,  human_percent, NULL,       8,  140,   4,  false},
    {"congestion",  "CC",        TEXT_CONGESTION, text_of, NULL,       NULL,          NULL,       10, 150,  18,  false},
    {"rate",        "RATE/s",    0,               NULL,    rate_of,    NULL,          rate_cell,  8,  170,  15,  false},
    {"queue",       "QUEUE",     0,               NULL,    queue_of,   NULL,          queue_cell, 10, 200,  20,  false},
    {"dropped",     "DROPPED",   0,               NULL,    dropped_of, NULL,          NULL,       8,  205,  17,  false},
    {"refused",     "REFUSED",   0,               NULL,    refused_of, NULL,          NULL,       8,  210,  21,  false},
    {"limit",       "LIMITED BY", 0,              NULL,    limit_of,   NULL,          limit_cell, 16, 220,  19,  true},
    {"data",        "DATA",      TEXT_DATA,       text_of, NULL,       NULL,          NULL,       8,  230,  22,  false},
};
/* clang-format on */

static struct column field_column(enum tcp_info_id id, const struct tcp_info_field *field)
{
    struct column column = {.key = field->column.key,
                            .heading = field->column.heading,
                            .index = (int)id,
                            .number = field_of,
                            .width = 10,
                            .place = field->column.place,
                            .importance = field->column.importance};
    if (field->unit == UNIT_MICROSECONDS)
        column.format = human_microseconds;
    else if (field->unit == UNIT_BYTES || field->unit == UNIT_BYTES_PER_SECOND)
        column.format = human_bytes;
    if (column.format != NULL)
        column.width = 8;
    return column;
}

static int compare_places(const void *left, const void *right)
{
    const struct column *a = left, *b = right;
    return (a->place > b->place) - (a->place < b->place);
}

/* Newest first. */
static int compare_newest(const void *left, const void *right)
{
    const struct reported *a = left, *b = right;
    if (isnan(a->opened) || isnan(b->opened) || a->opened == b->opened)
        return strcmp(a->texts[TEXT_ID], b->texts[TEXT_ID]);
    return a->opened > b->opened ? -1 : 1;
}

const struct column_set *connection_columns(void)
{
    static struct column columns[COLUMNS_MAX];
    static struct column_set set = {
        .columns = columns, .row_size = sizeof(struct reported), .tie = compare_newest};
    const size_t own = sizeof own_columns / sizeof *own_columns;
    size_t fields;
    const struct tcp_info_field *table = tcp_info_table(&fields);
    if (set.count > 0)
        return &set;
    memcpy(columns, own_columns, sizeof own_columns);
    set.count = own;
    for (size_t i = 0; i < fields; i++)
        if (table[i].column.key != NULL) {
            assert(set.count < COLUMNS_MAX);
            columns[set.count++] = field_column((enum tcp_info_id)i, &table[i]);
        }
    qsort(columns, set.count, sizeof *columns, compare_places);
    return &set;
}

void connection_column_keys(char *text, size_t size)
{
    column_keys(connection_columns(), text, size);
}

void connection_totals_line(const struct reported_totals *totals, bool closed, char *line,
                            size_t size)
{
    char sent[HUMAN_SIZE], received[HUMAN_SIZE], loss[HUMAN_SIZE], counts[192];
    human_bytes(totals->sent, sent);
    human_bytes(totals->received, received);
    human_percent(totals->sent > 0 ? totals->retransmitted / totals->sent : 0, loss);
    if (closed)
        snprintf(counts, sizeof counts, *totals->reasons ? "%zu closed: %s" : "%zu closed",
                 totals->count, totals->reasons);
    else
        snprintf(counts, sizeof counts,
                 totals->datagram ? "%zu open, %zu listening, %zu of UDP"
                                  : "%zu open, %zu listening",
                 totals->open, totals->listening, totals->datagram);
    snprintf(line, size, "%s; sent %s, received %s, retransmitted %s%%", counts, sent, received,
             loss);
}
