/* SPDX-License-Identifier: MIT */
/*
 * An answer is a source of pieces. libmicrohttpd asks for bytes; the source writes its next piece
 * into memory; the piece is copied as far as there is room. For each piece a source examines a
 * bounded number of connections. Between pieces it keeps only a cursor or a snapshot of the model.
 */
#include "answer.h"
#include "answer_json.h"
#include "health.h"
#include "snapshot.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* libmicrohttpd's buffer size per connection. */
#define PIECE_BYTES 16384u
/* Maximum of table places examined for one piece, and of connections written. */
#define PLACES_AT_ONCE 8192u
#define ITEMS_AT_ONCE  16u

struct answer_source {
    /* Write the next piece. Returns false if it was the last. */
    bool (*next)(struct answer_source *source, FILE *to);
    void (*free)(struct answer_source *source);
    char *piece; /* being sent */
    size_t length, sent;
    bool ended, failed;
};

static void fetch_piece(struct answer_source *source)
{
    FILE *to;
    free(source->piece);
    source->piece = NULL;
    source->length = source->sent = 0;
    to = open_memstream(&source->piece, &source->length);
    if (to == NULL) {
        source->failed = true;
        return;
    }
    source->ended = !source->next(source, to);
    source->failed = (ferror(to) | fclose(to)) != 0;
}

static ssize_t read_answer_source(void *context, uint64_t position, char *to, size_t room)
{
    struct answer_source *source = context;
    size_t part;
    (void)position;
    if (source->sent == source->length && !source->ended && !source->failed)
        fetch_piece(source);
    if (source->failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    part = source->length - source->sent;
    if (part == 0)
        return source->ended ? MHD_CONTENT_READER_END_OF_STREAM : 0;
    part = part < room ? part : room;
    memcpy(to, source->piece + source->sent, part);
    source->sent += part;
    return (ssize_t)part;
}

static void free_answer_source(void *context)
{
    struct answer_source *source = context;
    free(source->piece);
    source->free(source);
}

/* The response takes ownership of the source; without memory it is freed at once. */
static struct MHD_Response *make_response(struct answer_source *source, const char *type)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, PIECE_BYTES, read_answer_source, source, free_answer_source);
    if (response == NULL)
        free_answer_source(source);
    else
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return response;
}

/* Lists of JSON */

/* Writes a comma before each object of a list except the first. */
static void put_comma(bool *first, FILE *to)
{
    if (!*first)
        fputs(",\n", to);
    *first = false;
}

/* Without memory, a part of the answer would be missing without notice, so the JSON is made invalid
 * on purpose. */
static void spoil_answer(FILE *to)
{
    fputs("out of memory", to);
}

/* Writes an object of a list; releases its reference. */
static void put_item(json_t *item, bool *first, FILE *to)
{
    put_comma(first, to);
    if (item == NULL || json_dumpf(item, to, ANSWER_JSON_FLAGS) != 0)
        spoil_answer(to);
    json_decref(item);
}

struct connections_source {
    struct answer_source source;
    const struct connections *all;
    struct query_filter filter;
    uint64_t cursor, count;
    bool begun, first;
};

static const struct connection *next_connection(struct connections_source *source, size_t *budget)
{
    return (source->filter.closed ? connections_next_closed : connections_next)(
        source->all, &source->filter.connections, &source->cursor, budget);
}

/* Writes the end of the list. `more`: further connections may follow. */
static bool end_connections(const struct connections_source *source, bool more, FILE *to)
{
    if (more)
        fprintf(to, "],\"next\":\"%" PRIu64 "\"}\n", source->cursor);
    else
        fputs("],\"next\":null}\n", to);
    return false;
}

static bool put_connections(struct answer_source *context, FILE *to)
{
    struct connections_source *source = (struct connections_source *)context;
    size_t budget = PLACES_AT_ONCE;
    /* Each piece has a newline: a piece must not be empty, even if nothing passes the filter. */
    fputs(source->begun ? "\n" : ANSWER_BEGIN "\"connections\":[\n", to);
    source->begun = true;
    for (unsigned i = 0; i < ITEMS_AT_ONCE; i++) {
        const struct connection *connection = next_connection(source, &budget);
        if (connection == NULL)
            return budget == 0 || end_connections(source, false, to);
        put_comma(&source->first, to);
        if (answer_connection(connection, to) != 0)
            spoil_answer(to);
        if (++source->count == source->filter.limit)
            return end_connections(source, true, to);
    }
    return true;
}

static void free_plain(struct answer_source *source)
{
    free(source);
}

struct MHD_Response *answer_connections(const struct helper *helper,
                                        const struct query_filter *filter)
{
    struct connections_source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return NULL;
    source->source.next = put_connections;
    source->source.free = free_plain;
    source->all = helper->connections;
    source->filter = *filter;
    source->cursor = filter->after;
    source->first = true;
    return make_response(&source->source, "application/json");
}

/* Rules */

struct rules_source {
    struct answer_source source;
    struct snapshot snapshot;
    size_t at;
    bool first;
};

static bool put_rules(struct answer_source *context, FILE *to)
{
    struct rules_source *source = (struct rules_source *)context;
    if (source->at == 0)
        fputs(ANSWER_BEGIN "\"rules\":[\n", to);
    for (unsigned i = 0; i < ITEMS_AT_ONCE && source->at < source->snapshot.count; i++)
        put_item(answer_rule(&source->snapshot.aggregates[source->at++]), &source->first, to);
    if (source->at < source->snapshot.count)
        return true;
    fputs("]}\n", to);
    return false;
}

static void free_rules(struct answer_source *context)
{
    struct rules_source *source = (struct rules_source *)context;
    snapshot_free(&source->snapshot);
    free(source);
}

struct MHD_Response *answer_rules(const struct helper *helper, bool one_user, uid_t uid)
{
    struct rules_source *source = calloc(1, sizeof *source);
    if (source == NULL ||
        snapshot_take(&source->snapshot, connections_aggregates(helper->connections), one_user,
                      uid) != 0) {
        free(source);
        return NULL;
    }
    source->source.next = put_rules;
    source->source.free = free_rules;
    source->first = true;
    return make_response(&source->source, "application/json");
}

/* Processes */

/* Number of open connections per process. */
struct process_tally {
    pid_t pid;
    size_t count;
    UT_hash_handle hh;
};

struct processes_source {
    struct answer_source source;
    const struct client_table *clients;
    struct process_tally *tallies;
    uint64_t cursor;
    bool one_user, begun, first, reloading;
    uid_t uid;
};

static void count_connection(struct process_tally **tallies, pid_t pid)
{
    struct process_tally *tally;
    HASH_FIND_INT(*tallies, &pid, tally);
    if (tally == NULL) {
        tally = calloc(1, sizeof *tally);
        if (tally == NULL)
            return;
        tally->pid = pid;
        HASH_ADD_INT(*tallies, pid, tally);
    }
    tally->count++;
}

static void count_connections(struct processes_source *source, const struct connections *all)
{
    struct connection_filter filter = {.one_user = source->one_user, .uid = source->uid};
    const struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;
    while ((connection = connections_next(all, &filter, &cursor, &budget)) != NULL)
        count_connection(&source->tallies, connection->pid);
}

static size_t connections_of(const struct processes_source *source, pid_t pid)
{
    const struct process_tally *tally;
    HASH_FIND_INT(source->tallies, &pid, tally);
    return tally != NULL ? tally->count : 0;
}

/* Writes a process and the children that use its ring. */
static void put_process(struct processes_source *source, const struct client *process, FILE *to)
{
    put_item(answer_process(process, connections_of(source, process->pid)), &source->first, to);
    for (size_t i = 0; i < process->child_count; i++)
        put_item(answer_child(process, &process->children[i],
                              connections_of(source, process->children[i].pid)),
                 &source->first, to);
}

static bool put_processes(struct answer_source *context, FILE *to)
{
    struct processes_source *source = (struct processes_source *)context;
    if (source->begun)
        fputs("\n", to);
    else
        fprintf(to, ANSWER_BEGIN "\"reloading\":%s,\"processes\":[\n",
                source->reloading ? "true" : "false");
    source->begun = true;
    for (unsigned i = 0; i < ITEMS_AT_ONCE; i++) {
        const struct client *process = client_table_next(source->clients, &source->cursor);
        if (process == NULL) {
            fputs("]}\n", to);
            return false;
        }
        if (!source->one_user || process->uid == source->uid)
            put_process(source, process, to);
    }
    return true;
}

static void free_processes(struct answer_source *context)
{
    struct processes_source *source = (struct processes_source *)context;
    struct process_tally *tally = source->tallies, *next;
    HASH_CLEAR(hh, source->tallies); /* clears only the table; its members stay linked */
    for (; tally != NULL; tally = next) {
        next = tally->hh.next;
        free(tally);
    }
    free(source);
}

struct MHD_Response *answer_processes(const struct helper *helper, bool one_user, uid_t uid)
{
    struct processes_source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return NULL;
    source->source.next = put_processes;
    source->source.free = free_processes;
    source->clients = helper->clients;
    source->one_user = one_user;
    source->uid = uid;
    source->first = true;
    source->reloading = publisher_is_busy(helper->publisher, one_user, uid);
    count_connections(source, helper->connections);
    return make_response(&source->source, "application/json");
}

/* Metrics */

struct metrics_source {
    struct answer_source source;
    struct metrics *metrics;
    enum metrics_format format;
};

static bool put_metrics(struct answer_source *context, FILE *to)
{
    const struct metrics_source *source = (const struct metrics_source *)context;
    return metrics_write(source->metrics, source->format, to);
}

static void free_metrics(struct answer_source *context)
{
    struct metrics_source *source = (struct metrics_source *)context;
    metrics_free(source->metrics);
    free(source);
}

struct MHD_Response *answer_metrics(const struct helper *helper, bool one_user, uid_t uid,
                                    enum metrics_format format)
{
    struct metrics_source *source = calloc(1, sizeof *source);
    struct metrics_health health[HEALTH_ROWS_MAX];
    size_t count = health_rows(helper, health);
    if (source == NULL)
        return NULL;
    source->source.next = put_metrics;
    source->source.free = free_metrics;
    source->format = format;
    source->metrics = metrics_take(connections_aggregates(helper->connections), helper->trials,
                                   one_user, uid, helper->config.series_histograms, health, count);
    if (source->metrics == NULL) {
        free(source);
        return NULL;
    }
    return make_response(&source->source, metrics_content_type(format));
}
