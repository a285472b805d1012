/* SPDX-License-Identifier: MIT */
/*
 * Connections as the helper's JSON tells them, and what can be derived from their figures.
 */
#include "reported.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The helper knows fewer. */
#define REASONS_MAX 16u

static const char *const figure_names[FIGURE_COUNT] = {
    [FIGURE_RTT] = "rtt",
    [FIGURE_RTTVAR] = "rttvar",
    [FIGURE_MIN_RTT] = "min_rtt",
    [FIGURE_TOTAL_RETRANS] = "total_retrans",
    [FIGURE_BYTES_SENT] = "bytes_sent",
    [FIGURE_BYTES_RETRANS] = "bytes_retrans",
    [FIGURE_BYTES_RECEIVED] = "bytes_received",
    [FIGURE_CWND] = "snd_cwnd",
    [FIGURE_DELIVERY_RATE] = "delivery_rate",
    [FIGURE_APP_LIMITED] = "app_limited",
    [FIGURE_BUSY_TIME] = "busy_time",
    [FIGURE_RWND_LIMITED] = "rwnd_limited",
    [FIGURE_SNDBUF_LIMITED] = "sndbuf_limited",
};

/* Texts that are members of the object; the addresses are made of two each. */
static const char *const text_names[TEXT_COUNT] = {
    [TEXT_ID] = "id",         [TEXT_PROGRAM] = "program",       [TEXT_RULE] = "rule",
    [TEXT_ROLE] = "role",     [TEXT_STATE] = "state",           [TEXT_LOCAL] = NULL,
    [TEXT_REMOTE] = NULL,     [TEXT_CONGESTION] = "congestion", [TEXT_DATA] = "data",
    [TEXT_REASON] = "reason",
};

static char *printable_copy(const char *text)
{
    char *copy = strdup(text ? text : "");

    for (char *at = copy; at && *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return copy;
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);

    return json_is_number(member) ? json_number_value(member) : NAN;
}

/* "192.0.2.1:80", "[2001:db8::1]:80", or "" where there is no address. */
static char *endpoint_of(const json_t *object, const char *name)
{
    const json_t *end = json_object_get(object, name);
    const char *address = json_string_value(json_object_get(end, "address"));
    long long port = (long long)json_integer_value(json_object_get(end, "port"));
    char text[128];

    if (!address)
        return strdup("");
    snprintf(text, sizeof text, strchr(address, ':') ? "[%.100s]:%lld" : "%.100s:%lld", address,
             port);
    return printable_copy(text);
}

bool reported_read(struct reported *connection, const json_t *object)
{
    const json_t *info = json_object_get(object, "tcp_info");
    const json_t *queue = json_object_get(object, "accept_queue");
    bool complete = true;

    for (size_t i = 0; i < TEXT_COUNT; i++)
        connection->texts[i] =
            text_names[i]
                ? printable_copy(json_string_value(json_object_get(object, text_names[i])))
                : endpoint_of(object, i == TEXT_LOCAL ? "local" : "remote");
    for (size_t i = 0; i < TEXT_COUNT; i++)
        complete = complete && connection->texts[i];
    for (size_t i = 0; i < FIGURE_COUNT; i++)
        connection->figures[i] = number_of(info, figure_names[i]);
    connection->pid = (long)json_integer_value(json_object_get(object, "pid"));
    connection->opened = number_of(object, "opened");
    connection->closed = number_of(object, "closed");
    connection->sampled = number_of(object, "sampled");
    connection->queue = number_of(queue, "length");
    connection->queue_limit = number_of(queue, "limit");
    connection->refused =
        (unsigned)json_object_size(json_object_get(json_object_get(object, "options"), "failed"));
    if (!complete)
        reported_free(connection);
    return complete;
}

void reported_free(struct reported *connection)
{
    for (size_t i = 0; i < TEXT_COUNT; i++)
        free(connection->texts[i]);
    *connection = (struct reported){.pid = 0};
}

double reported_age(const struct reported *connection, double now)
{
    return (isnan(connection->closed) ? now : connection->closed) - connection->opened;
}

const char *reported_limit(const struct reported *connection, double now, double *share)
{
    static const char *const names[] = {"application", "receiver", "sndbuf", "network"};
    const double *figures = connection->figures;
    double until = isnan(connection->sampled) ? now : connection->sampled;
    double busy = figures[FIGURE_BUSY_TIME];
    double receiver = figures[FIGURE_RWND_LIMITED], sndbuf = figures[FIGURE_SNDBUF_LIMITED];
    /* The figures are as old as the sample. The kernel counts from its first byte to send; its
     * clock's grain can make the parts a little longer than the whole. */
    double whole = (isnan(connection->closed) ? until : connection->closed) - connection->opened;
    double times[] = {fmax(whole * 1e6 - busy, 0), receiver, sndbuf,
                      fmax(busy - receiver - sndbuf, 0)};
    size_t longest = 0;

    if (isnan(whole) || isnan(busy + receiver + sndbuf) ||
        strcmp(connection->texts[TEXT_ROLE], "listen") == 0)
        return NULL;
    for (size_t i = 1; i < sizeof times / sizeof *times; i++)
        longest = times[i] > times[longest] ? i : longest;
    whole = times[0] + times[1] + times[2] + times[3];
    *share = whole > 0 ? times[longest] / whole : 1;
    return names[longest];
}

bool reported_list_add(struct reported_list *connections, const json_t *object)
{
    if (connections->count == connections->room) {
        size_t room = connections->room ? 2 * connections->room : 256;
        struct reported *larger = reallocarray(connections->items, room, sizeof *larger);

        if (!larger)
            return false;
        connections->items = larger;
        connections->room = room;
    }
    if (!reported_read(&connections->items[connections->count], object))
        return false;
    connections->count++;
    return true;
}

void reported_list_free(struct reported_list *connections)
{
    for (size_t i = 0; i < connections->count; i++)
        reported_free(&connections->items[i]);
    free(connections->items);
    *connections = (struct reported_list){.items = NULL};
}

static double known(double figure)
{
    return isnan(figure) ? 0 : figure;
}

/* How often each reason is there. */
struct tally {
    const char *reason;
    size_t count;
};

static void put_reasons(const struct reported_list *connections, char *text, size_t size)
{
    struct tally tallies[REASONS_MAX] = {{NULL, 0}};
    size_t length = 0;

    for (size_t i = 0; i < connections->count; i++) {
        const char *reason = connections->items[i].texts[TEXT_REASON];
        size_t at = 0;

        while (at < REASONS_MAX && tallies[at].reason && strcmp(tallies[at].reason, reason) != 0)
            at++;
        if (*reason && at < REASONS_MAX)
            tallies[at] = (struct tally){reason, tallies[at].count + 1};
    }
    *text = '\0';
    for (size_t i = 0; i < REASONS_MAX && tallies[i].reason && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%zu %.16s", i ? ", " : "",
                                   tallies[i].count, tallies[i].reason);
}

struct reported_totals reported_list_total(const struct reported_list *connections)
{
    struct reported_totals totals = {.count = connections->count};

    for (size_t i = 0; i < connections->count; i++) {
        const struct reported *one = &connections->items[i];

        totals.sent += known(one->figures[FIGURE_BYTES_SENT]);
        totals.retransmitted += known(one->figures[FIGURE_BYTES_RETRANS]);
        totals.received += known(one->figures[FIGURE_BYTES_RECEIVED]);
        totals.lost += strcmp(one->texts[TEXT_DATA], "lost") == 0;
        if (strcmp(one->texts[TEXT_ROLE], "listen") == 0 && isnan(one->closed))
            totals.listening++;
        else
            totals.open += isnan(one->closed) ? 1 : 0;
    }
    put_reasons(connections, totals.reasons, sizeof totals.reasons);
    return totals;
}
