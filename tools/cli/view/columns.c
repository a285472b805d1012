/* SPDX-License-Identifier: MIT */
/*
 * The table of columns.
 */
#include "columns.h"
#include "human.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- numbers ---------------------------------------------------------------------------------- */

static bool listens(const struct reported *connection)
{
    return strcmp(connection->texts[TEXT_ROLE], "listen") == 0;
}

/* A listener's tcp_info tells of its accept queue, in fields that mean other things elsewhere. */
static double figure(const struct reported *connection, enum reported_figure which)
{
    return listens(connection) ? NAN : connection->figures[which];
}

static double pid_of(const struct reported *connection, double now)
{
    (void)now;
    return (double)connection->pid;
}

static double rtt_of(const struct reported *connection, double now)
{
    (void)now;
    return figure(connection, FIGURE_RTT);
}

static double rttvar_of(const struct reported *connection, double now)
{
    (void)now;
    return figure(connection, FIGURE_RTTVAR);
}

static double min_rtt_of(const struct reported *connection, double now)
{
    (void)now;
    return figure(connection, FIGURE_MIN_RTT);
}

static double retransmits_of(const struct reported *connection, double now)
{
    (void)now;
    return figure(connection, FIGURE_TOTAL_RETRANS);
}

static double loss_of(const struct reported *connection, double now)
{
    double sent = figure(connection, FIGURE_BYTES_SENT);

    (void)now;
    return sent > 0 ? figure(connection, FIGURE_BYTES_RETRANS) / sent : sent;
}

static double cwnd_of(const struct reported *connection, double now)
{
    (void)now;
    return figure(connection, FIGURE_CWND);
}

static double rate_of(const struct reported *connection, double now)
{
    double rate = figure(connection, FIGURE_DELIVERY_RATE);

    (void)now;
    return rate > 0 ? rate : NAN; /* 0: nothing was delivered yet */
}

static double sent_of(const struct reported *connection, double now)
{
    (void)now;
    return figure(connection, FIGURE_BYTES_SENT);
}

static double received_of(const struct reported *connection, double now)
{
    (void)now;
    return figure(connection, FIGURE_BYTES_RECEIVED);
}

static double limit_of(const struct reported *connection, double now)
{
    double share = NAN;

    return reported_limit(connection, now, &share) ? share : NAN;
}

static double queue_of(const struct reported *connection, double now)
{
    (void)now;
    return connection->queue;
}

static double refused_of(const struct reported *connection, double now)
{
    (void)now;
    return connection->refused ? (double)connection->refused : NAN;
}

/* --- the table -------------------------------------------------------------------------------- */

/* clang-format off */
static const struct column columns[] = {
    /* key          heading      text             number          format              width importance */
    {"program",     "PROGRAM",   TEXT_PROGRAM,    NULL,           NULL,               16,  1},
    {"pid",         "PID",       -1,              pid_of,         NULL,               10,  6},
    {"rule",        "RULE",      TEXT_RULE,       NULL,           NULL,               20, 11},
    {"role",        "ROLE",      TEXT_ROLE,       NULL,           NULL,               10, 15},
    {"local",       "LOCAL",     TEXT_LOCAL,      NULL,           NULL,               48,  9},
    {"remote",      "REMOTE",    TEXT_REMOTE,     NULL,           NULL,               48,  2},
    {"state",       "STATE",     TEXT_STATE,      NULL,           NULL,               12,  7},
    {"reason",      "REASON",    TEXT_REASON,     NULL,           NULL,               12,  7},
    {"age",         "AGE",       -1,              reported_age,   human_age,          8,   8},
    {"rtt",         "RTT",       -1,              rtt_of,         human_microseconds, 8,   3},
    {"rttvar",      "VAR",       -1,              rttvar_of,      human_microseconds, 8,  13},
    {"min_rtt",     "MIN",       -1,              min_rtt_of,     human_microseconds, 8,  14},
    {"retransmits", "RETR",      -1,              retransmits_of, NULL,               10, 16},
    {"loss",        "LOSS%",     -1,              loss_of,        human_percent,      8,  10},
    {"congestion",  "CC",        TEXT_CONGESTION, NULL,           NULL,               10, 18},
    {"cwnd",        "CWND",      -1,              cwnd_of,        NULL,               10, 17},
    {"rate",        "RATE/s",    -1,              rate_of,        human_bytes,        8,  12},
    {"sent",        "SENT",      -1,              sent_of,        human_bytes,        8,   4},
    {"received",    "RECEIVED",  -1,              received_of,    human_bytes,        8,   5},
    {"queue",       "QUEUE",     -1,              queue_of,       NULL,               10, 20},
    {"refused",     "REFUSED",   -1,              refused_of,     NULL,               8,  21},
    {"limit",       "LIMITED BY", -1,             limit_of,       NULL,               16, 19},
    {"data",        "DATA",      TEXT_DATA,       NULL,           NULL,               8,  22},
};
/* clang-format on */

#define COLUMN_COUNT (sizeof columns / sizeof *columns)
_Static_assert(COLUMN_COUNT <= COLUMNS_MAX, "a layout has room for all columns");

const struct column *column_table(size_t *count)
{
    *count = COLUMN_COUNT;
    return columns;
}

const struct column *column_find(const char *key)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (strcmp(columns[i].key, key) == 0)
            return &columns[i];
    return NULL;
}

void column_keys(char *text, size_t size)
{
    size_t length = 0;

    for (size_t i = 0; i < COLUMN_COUNT && length < size; i++)
        length +=
            (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "", columns[i].key);
}

/* --- cells ------------------------------------------------------------------------------------ */

static void limit_cell(const struct reported *connection, double now, char text[CELL_SIZE])
{
    double share;
    const char *limit = reported_limit(connection, now, &share);

    if (limit)
        snprintf(text, CELL_SIZE, "%s %.0f%%", limit, share * 100);
}

static void number_cell(const struct column *column, const struct reported *connection,
                        double number, char text[CELL_SIZE])
{
    size_t length = 0;

    /* What a program sends that is slower than the path is the least that the path can carry. */
    if (column->number == rate_of && connection->figures[FIGURE_APP_LIMITED] > 0)
        text[length++] = '>';
    if (column->format)
        column->format(number, text + length);
    else
        snprintf(text + length, CELL_SIZE - length, "%.0f", number);
    if (column->number == queue_of && !isnan(connection->queue_limit))
        snprintf(text + strlen(text), CELL_SIZE - strlen(text), "/%.0f", connection->queue_limit);
}

/* All that are closed have the same state, and a reason instead. */
void column_cell(const struct column *column, const struct reported *connection, double now,
                 char text[CELL_SIZE])
{
    double number = column->number ? column->number(connection, now) : NAN;

    *text = '\0';
    if (column->number == limit_of)
        limit_cell(connection, now, text);
    else if (column->text >= 0 && !(column->text == TEXT_STATE && *connection->texts[TEXT_REASON]))
        snprintf(text, CELL_SIZE, "%s", connection->texts[column->text]);
    else if (!isnan(number))
        number_cell(column, connection, number, text);
    if (!*text)
        strcpy(text, "-"); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
}

/* --- order ------------------------------------------------------------------------------------ */

bool column_order_read(struct column_order *order, const char *word)
{
    bool reverse = *word == '-';
    const struct column *column = column_find(word + reverse);

    if (column)
        *order = (struct column_order){.column = column, .reverse = reverse};
    return column;
}

/* The larger first; what has none, last, also when reversed. */
static int compare_numbers(double left, double right, bool reverse)
{
    int result;

    if (isnan(left) || isnan(right))
        return isnan(left) - isnan(right);
    result = (left < right) - (left > right);
    return reverse ? -result : result;
}

static int compare(const void *left, const void *right, void *order_given)
{
    const struct column_order *order = order_given;
    const struct reported *a = left, *b = right;
    const struct column *column = order->column;
    int result = 0;

    if (column && column->text >= 0) {
        result = strcmp(a->texts[column->text], b->texts[column->text]);
        result = order->reverse ? -result : result;
    } else if (column) {
        result = compare_numbers(column->number(a, order->now), column->number(b, order->now),
                                 order->reverse);
    }
    if (!result)
        result = compare_numbers(a->opened, b->opened, false);
    return result ? result : strcmp(a->texts[TEXT_ID], b->texts[TEXT_ID]);
}

void columns_sort(struct reported_list *connections, const struct column_order *order)
{
    struct column_order copy = *order;

    if (connections->count)
        qsort_r(connections->items, connections->count, sizeof *connections->items, compare, &copy);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* How wide the column is with these connections; 0: it has nothing to tell of any of them. */
static unsigned width_of(const struct column *column, const struct reported_list *connections,
                         double now)
{
    unsigned width = 0;
    char text[CELL_SIZE];

    for (size_t i = 0; i < connections->count && width < column->width; i++) {
        column_cell(column, &connections->items[i], now, text);
        if (strcmp(text, "-") != 0 && strlen(text) > width)
            width = (unsigned)strlen(text);
    }
    if (width && width < strlen(column->heading))
        width = (unsigned)strlen(column->heading);
    return width > column->width ? column->width : width;
}

/* The most important column that is not chosen yet, or COLUMN_COUNT. */
static size_t next_by_importance(const unsigned widths[], const bool chosen[])
{
    size_t best = COLUMN_COUNT;

    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (widths[i] && !chosen[i] &&
            (best == COLUMN_COUNT || columns[i].importance < columns[best].importance))
            best = i;
    return best;
}

void columns_layout(struct layout *layout, const struct reported_list *connections, double now,
                    unsigned width, const struct column *wanted)
{
    unsigned widths[COLUMN_COUNT], used = 0;
    bool chosen[COLUMN_COUNT] = {false};

    layout->count = 0;
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        widths[i] = width_of(&columns[i], connections, now);
    if (wanted && widths[wanted - columns]) {
        chosen[wanted - columns] = true;
        used = widths[wanted - columns] + 2;
    }
    for (size_t i; (i = next_by_importance(widths, chosen)) < COLUMN_COUNT;) {
        if (width && used + widths[i] > width)
            break;
        chosen[i] = true;
        used += widths[i] + 2;
    }
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (chosen[i]) {
            layout->columns[layout->count] = &columns[i];
            layout->widths[layout->count++] = widths[i];
        }
}

size_t columns_line(const struct layout *layout, const struct reported *connection, double now,
                    char *line, size_t size)
{
    size_t length = 0;
    char text[CELL_SIZE];

    *line = '\0';
    for (size_t i = 0; i < layout->count && length < size; i++) {
        const struct column *column = layout->columns[i];
        int width = (int)layout->widths[i];
        bool left = column->text >= 0 || column->number == limit_of;

        if (connection)
            column_cell(column, connection, now, text);
        else
            snprintf(text, sizeof text, "%s", column->heading);
        length += (size_t)snprintf(line + length, size - length, "%s%*.*s", i ? "  " : "",
                                   left ? -width : width, width, text);
    }
    if (length >= size)
        length = size - 1;
    while (length && line[length - 1] == ' ')
        line[--length] = '\0';
    return length;
}

void columns_totals(const struct reported_totals *totals, bool closed, char *line, size_t size)
{
    char sent[HUMAN_SIZE], received[HUMAN_SIZE], loss[HUMAN_SIZE], counts[192];

    human_bytes(totals->sent, sent);
    human_bytes(totals->received, received);
    human_percent(totals->sent > 0 ? totals->retransmitted / totals->sent : 0, loss);
    if (closed)
        snprintf(counts, sizeof counts, *totals->reasons ? "%zu closed: %s" : "%zu closed",
                 totals->count, totals->reasons);
    else
        snprintf(counts, sizeof counts, "%zu open, %zu listening", totals->open, totals->listening);
    snprintf(line, size, "%s; sent %s, received %s, retransmitted %s%%", counts, sent, received,
             loss);
}
