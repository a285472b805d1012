/* SPDX-License-Identifier: MIT */
/*
 * Connections read from the helper's JSON, and values derived from their figures.
 */
#include "reported.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The helper has fewer close reasons. */
#define REASONS_MAX 16u

/* The kernel counts busy time in jiffies of 1 to 10 ms: a share of less than this is noise. */
#define BUSY_LEAST 40e3 /* microseconds */

/* Members of the object that are texts. An address is formatted from two members. */
static const char *const text_names[TEXT_COUNT] = {
    [TEXT_ID] = "id",         [TEXT_PROGRAM] = "program",       [TEXT_RULE] = "rule",
    [TEXT_ROLE] = "role",     [TEXT_STATE] = "state",           [TEXT_LOCAL] = NULL,
    [TEXT_REMOTE] = NULL,     [TEXT_CONGESTION] = "congestion", [TEXT_DATA] = "data",
    [TEXT_REASON] = "reason",
};

char *reported_printable(const char *text)
{
    char *copy = strdup(text != NULL ? text : "");
    for (char *at = copy; at != NULL && *at; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return copy;
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    return json_is_number(member) ? json_number_value(member) : NAN;
}

/* "192.0.2.1:80", "[2001:db8::1]:80", or "" if there is no address. */
static char *endpoint_of(const json_t *object, const char *name)
{
    const json_t *end = json_object_get(object, name);
    const char *address = json_string_value(json_object_get(end, "address"));
    long long port = (long long)json_integer_value(json_object_get(end, "port"));
    char text[128];
    if (address == NULL)
        return strdup("");
    snprintf(text, sizeof text, strchr(address, ':') != NULL ? "[%.100s]:%lld" : "%.100s:%lld",
             address, port);
    return reported_printable(text);
}

bool reported_read(struct reported *connection, const json_t *object)
{
    const json_t *info = json_object_get(object, "tcp_info");
    const json_t *accepts = json_object_get(object, "accept_queue");
    const json_t *queue = accepts != NULL ? accepts : json_object_get(object, "receive_queue");
    bool complete = true;
    size_t count;
    const struct tcp_info_field *fields = tcp_info_table(&count);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        connection->texts[i] =
            text_names[i] != NULL
                ? reported_printable(json_string_value(json_object_get(object, text_names[i])))
                : endpoint_of(object, i == TEXT_LOCAL ? "local" : "remote");
    for (size_t i = 0; i < TEXT_COUNT; i++)
        complete = complete && connection->texts[i] != NULL;
    for (size_t i = 0; i < count; i++)
        connection->figures[i] = number_of(info, fields[i].name);
    connection->pid = (long)json_integer_value(json_object_get(object, "pid"));
    connection->opened = number_of(object, "opened");
    connection->closed = number_of(object, "closed");
    connection->sampled = number_of(object, "sampled");
    connection->queue = number_of(queue, "length");
    connection->queue_limit = number_of(queue, "limit");
    connection->dropped = number_of(queue, "dropped");
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

bool reported_listens(const struct reported *connection)
{
    return strcmp(connection->texts[TEXT_ROLE], "listen") == 0;
}

bool reported_is_datagram(const struct reported *connection)
{
    return strcmp(connection->texts[TEXT_ROLE], "datagram") == 0;
}

static bool is_bulk(const struct reported *connection)
{
    const double *figures = connection->figures;
    return !reported_listens(connection) &&
           tcp_info_is_bulk(figures[TCP_INFO_bytes_sent], figures[TCP_INFO_data_segs_out],
                            figures[TCP_INFO_snd_mss]);
}

double reported_rate(const struct reported *connection)
{
    return is_bulk(connection) ? connection->figures[TCP_INFO_delivery_rate] : NAN;
}

const char *reported_limit(const struct reported *connection, double *share)
{
    const double *figures = connection->figures;
    double busy = figures[TCP_INFO_busy_time];
    double receiver = figures[TCP_INFO_rwnd_limited] / busy;
    if (!is_bulk(connection) || !(busy >= BUSY_LEAST) || isnan(receiver))
        return NULL;
    *share = receiver;
    if (receiver >= 0.5)
        return "receiver";
    *share = figures[TCP_INFO_app_limited] > 0 ? 0 : 1 - receiver;
    return *share > 0 ? "network" : "application";
}

bool reported_list_add(struct reported_list *connections, const json_t *object)
{
    if (connections->count == connections->room) {
        size_t room = connections->room ? 2 * connections->room : 256;
        struct reported *larger = reallocarray(connections->items, room, sizeof *larger);
        if (larger == NULL)
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

static double known_or_zero(double figure)
{
    return isnan(figure) ? 0 : figure;
}

/* The number of connections with each close reason. */
struct reason_tally {
    const char *reason;
    size_t count;
};

static void put_reasons(const struct reported_list *connections, char *text, size_t size)
{
    struct reason_tally tallies[REASONS_MAX] = {{NULL, 0}};
    size_t length = 0;
    for (size_t i = 0; i < connections->count; i++) {
        const char *reason = connections->items[i].texts[TEXT_REASON];
        size_t at = 0;
        while (at < REASONS_MAX && tallies[at].reason != NULL &&
               strcmp(tallies[at].reason, reason) != 0)
            at++;
        if (*reason && at < REASONS_MAX)
            tallies[at] = (struct reason_tally){reason, tallies[at].count + 1};
    }
    *text = '\0';
    for (size_t i = 0; i < REASONS_MAX && tallies[i].reason != NULL && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%zu %.16s", i ? ", " : "",
                                   tallies[i].count, tallies[i].reason);
}

struct reported_totals reported_list_total(const struct reported_list *connections)
{
    struct reported_totals totals = {.count = connections->count};
    for (size_t i = 0; i < connections->count; i++) {
        const struct reported *one = &connections->items[i];
        totals.sent += known_or_zero(one->figures[TCP_INFO_bytes_sent]);
        totals.retransmitted += known_or_zero(one->figures[TCP_INFO_bytes_retrans]);
        totals.received += known_or_zero(one->figures[TCP_INFO_bytes_received]);
        totals.lost += strcmp(one->texts[TEXT_DATA], "lost") == 0;
        if (reported_listens(one) && isnan(one->closed))
            totals.listening++;
        else if (reported_is_datagram(one) && isnan(one->closed))
            totals.datagram++;
        else
            totals.open += isnan(one->closed) ? 1 : 0;
    }
    put_reasons(connections, totals.reasons, sizeof totals.reasons);
    return totals;
}
