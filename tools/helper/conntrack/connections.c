/* SPDX-License-Identifier: MIT */
/*
 * The connection table.
 *
 * Connections are stored in chunks of CHUNK places. The place is the cursor of a walk: a connection
 * keeps its place from open to close, so a walk over the places meets it once. Empty chunks are
 * freed, except a few spares, since the first touch of new memory costs more than a short
 * connection. A hash table with open addressing finds the place by the identity. Closed connections
 * move into a ring; they are numbered from the first that ever closed.
 */
#include "connections.h"
#include "aggregates.h"
#include "clock.h"
#include "intern.h"
#include "policy.h"

#include "glob.h"
#include <stdlib.h>
#include <string.h>

#define CHUNK        256u /* places; a multiple of 64 */
#define SPARES_MAX   8u   /* chunks */
#define TABLE_MIN    1024u
#define OPTION_NAMES 512u
#define NO_PLACE     UINT32_MAX
#define STATE_CLOSE  7u /* TCP_CLOSE */

struct chunk {
    uint64_t used[CHUNK / 64]; /* a bit per place */
    unsigned count;
    struct connection places[CHUNK];
};

struct connections {
    struct chunk **chunks; /* NULL: the chunk was freed */
    size_t chunk_count;
    size_t roomy;                     /* no chunk before this one has a free place */
    struct chunk *spares[SPARES_MAX]; /* empty */
    size_t spare_count;
    uint32_t *table;
    size_t table_size; /* a power of two */
    size_t open;
    struct connection *history;
    size_t history_size;
    uint64_t closed; /* number of connections ever put into the history */
    size_t history_count;
    struct aggregates aggregates;
    struct intern names;
    size_t options_memory;
    struct trials *trials; /* NULL: no trials */
};

/* Names of refused options. They are few (the table of options), shared by all connections and
 * never freed, so a connection stores two bytes for each. */
static const char *option_names[OPTION_NAMES] = {"other"};
static unsigned option_name_count = 1;

static uint16_t option_index(const char *name)
{
    char *copy;
    for (unsigned i = 0; i < option_name_count; i++)
        if (strcmp(option_names[i], name) == 0)
            return (uint16_t)i;
    if (option_name_count == OPTION_NAMES)
        return 0;
    copy = strdup(name);
    if (copy == NULL)
        return 0;
    option_names[option_name_count] = copy;
    return (uint16_t)option_name_count++;
}

bool connection_has_queue(const struct connection *connection)
{
    return (connection->role & (ROLE_LISTEN | ROLE_DATAGRAM)) != 0;
}

struct option_failure connection_failure(const struct connection *connection, unsigned i)
{
    return (struct option_failure){option_names[connection->failures[i].option],
                                   connection->failures[i].error};
}

void connection_info(const struct connection *connection, struct tcp_info_bytes *info)
{
    info->length = connection->info_length;
    memcpy(info->bytes, connection->info, connection->info_length);
}

/* Places */

/* Returns the connection at a place in use. */
static struct connection *at_place(const struct connections *all, uint32_t place)
{
    return &all->chunks[place / CHUNK]->places[place % CHUNK];
}

/* Returns the connection at a place of an existing chunk; NULL if the place is free. */
static struct connection *look_into(const struct connections *all, uint32_t place)
{
    const struct chunk *chunk = all->chunks[place / CHUNK];
    bool used = chunk->used[place % CHUNK / 64] >> (place % 64) & 1;
    return used ? at_place(all, place) : NULL;
}

static struct chunk *new_chunk(struct connections *all)
{
    return all->spare_count > 0 ? all->spares[--all->spare_count] : calloc(1, sizeof(struct chunk));
}

static void let_go_chunk(struct connections *all, struct chunk *chunk)
{
    if (all->spare_count < SPARES_MAX)
        all->spares[all->spare_count++] = chunk;
    else
        free(chunk);
}

static struct chunk *chunk_with_room(struct connections *all, size_t *index)
{
    struct chunk **more;
    size_t i = all->roomy;
    while (i < all->chunk_count && all->chunks[i] != NULL && all->chunks[i]->count == CHUNK)
        i++;
    *index = all->roomy = i;
    if (i == all->chunk_count) {
        more = reallocarray(all->chunks, i + 1, sizeof(struct chunk *));
        if (more == NULL)
            return NULL;
        all->chunks = more;
        all->chunks[all->chunk_count++] = NULL;
    }
    if (all->chunks[i] == NULL)
        all->chunks[i] = new_chunk(all);
    return all->chunks[i];
}

static uint32_t take_place(struct connections *all)
{
    size_t index;
    struct chunk *chunk = chunk_with_room(all, &index);
    if (chunk == NULL)
        return NO_PLACE;
    for (unsigned word = 0; word < CHUNK / 64; word++) {
        if (chunk->used[word] != UINT64_MAX) {
            unsigned bit = (unsigned)__builtin_ctzll(~chunk->used[word]);
            chunk->used[word] |= UINT64_C(1) << bit;
            chunk->count++;
            return (uint32_t)(index * CHUNK + (size_t)word * 64 + bit);
        }
    }
    return NO_PLACE;
}

static void free_place(struct connections *all, uint32_t place)
{
    size_t index = place / CHUNK;
    struct chunk *chunk = all->chunks[index];
    chunk->used[place % CHUNK / 64] &= ~(UINT64_C(1) << place % 64);
    if (index < all->roomy)
        all->roomy = index;
    /* Chunk 0 is always kept, so a single connection that comes and goes allocates nothing. */
    if (--chunk->count == 0 && index > 0) {
        let_go_chunk(all, chunk);
        all->chunks[index] = NULL;
        while (all->chunk_count > 0 && all->chunks[all->chunk_count - 1] == NULL)
            all->chunk_count--;
        if (all->roomy > all->chunk_count)
            all->roomy = all->chunk_count;
    }
}

/* Table */

static size_t hash_key(const struct connections *all, uint64_t netns, uint64_t cookie)
{
    uint64_t mixed = (cookie ^ netns << 40) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 32 ^ mixed) & (all->table_size - 1);
}

/* Returns the slot of the identity in the hash table, or the slot where it would be inserted. */
static size_t table_seek(const struct connections *all, uint64_t netns, uint64_t cookie)
{
    size_t at = hash_key(all, netns, cookie);
    while (all->table[at] != NO_PLACE) {
        const struct connection *found = at_place(all, all->table[at]);
        if (found->cookie == cookie && found->netns == netns)
            break;
        at = (at + 1) & (all->table_size - 1);
    }
    return at;
}

/* After a collision, entries behind the removed one move up, so that all are still found. */
static void table_remove(struct connections *all, size_t at)
{
    size_t mask = all->table_size - 1, next = at;
    for (;;) {
        const struct connection *moved;
        size_t home;
        next = (next + 1) & mask;
        if (all->table[next] == NO_PLACE)
            break;
        moved = at_place(all, all->table[next]);
        home = hash_key(all, moved->netns, moved->cookie);
        if (((next - home) & mask) >= ((next - at) & mask)) {
            all->table[at] = all->table[next];
            at = next;
        }
    }
    all->table[at] = NO_PLACE;
}

static int table_resize(struct connections *all, size_t size)
{
    uint32_t *old = all->table;
    size_t old_size = all->table_size;
    uint32_t *new = malloc(size * sizeof *new);
    if (new == NULL)
        return -1;
    memset(new, 0xff, size * sizeof *new);
    all->table = new;
    all->table_size = size;
    for (size_t i = 0; i < old_size; i++) {
        if (old[i] != NO_PLACE) {
            const struct connection *moved = at_place(all, old[i]);
            new[table_seek(all, moved->netns, moved->cookie)] = old[i];
        }
    }
    free(old);
    return 0;
}

/* Keeps the table at most half full, and shrinks it when it is nearly empty. */
static int table_fit(struct connections *all)
{
    if ((all->open + 1) * 2 > all->table_size)
        return table_resize(all, all->table_size * 2);
    if (all->table_size > TABLE_MIN && all->open * 16 < all->table_size)
        (void)table_resize(all, all->table_size / 2);
    return 0;
}

/* The whole */

struct connections *connections_new(size_t history)
{
    struct connections *all = calloc(1, sizeof *all);
    if (all == NULL)
        return NULL;
    if (table_resize(all, TABLE_MIN) != 0 || connections_set_history(all, history) != 0) {
        connections_free(all);
        return NULL;
    }
    return all;
}

/* Of all open connections and of those in the history. */
static void free_all_options(struct connections *all)
{
    struct connection *found;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;
    while ((found = connections_walk(all, &cursor, &budget)) != NULL)
        free(found->options);
    for (uint64_t number = all->closed - all->history_count; number != all->closed; number++)
        free(all->history[number % all->history_size].options);
}

void connections_free(struct connections *all)
{
    if (all == NULL)
        return;
    free_all_options(all);
    for (size_t i = 0; i < all->chunk_count; i++)
        free(all->chunks[i]);
    while (all->spare_count > 0)
        free(all->spares[--all->spare_count]);
    free(all->chunks);
    free(all->table);
    free(all->history);
    aggregates_free(&all->aggregates);
    intern_clear(&all->names);
    free(all);
}

static void free_options(struct connections *all, struct connection_options *options)
{
    if (options != NULL)
        all->options_memory -= sizeof *options + options->length;
    free(options);
}

static void release_shared(struct connections *all, const struct connection *connection)
{
    free_options(all, connection->options);
    intern_release(&all->names, connection->program);
    intern_release(&all->names, connection->rule);
    intern_release(&all->names, connection->peer);
}

static struct connection *in_history(const struct connections *all, uint64_t number)
{
    return &all->history[number % all->history_size];
}

int connections_set_history(struct connections *all, size_t history)
{
    struct connection *new = history ? calloc(history, sizeof *new) : NULL;
    if (history && new == NULL)
        return -1;
    for (uint64_t number = all->closed - all->history_count; number != all->closed; number++) {
        if (all->closed - number > history)
            release_shared(all, in_history(all, number));
        else
            new[number % history] = *in_history(all, number);
    }
    if (all->history_count > history)
        all->history_count = history;
    free(all->history);
    all->history = new;
    all->history_size = history;
    return 0;
}

struct connections_size connections_size(const struct connections *all)
{
    struct connections_size size = {all->open, all->history_count, all->history_size,
                                    aggregates_count(&all->aggregates), 0};
    for (size_t i = 0; i < all->chunk_count; i++)
        size.memory += all->chunks[i] != NULL ? sizeof(struct chunk) : 0;
    size.memory += all->spare_count * sizeof(struct chunk);
    size.memory += sizeof *all + all->chunk_count * sizeof(struct chunk *) +
                   all->table_size * sizeof *all->table +
                   all->history_size * sizeof(struct connection) + all->aggregates.memory +
                   all->names.memory + all->options_memory;
    return size;
}

struct connection *connections_get(struct connections *all, uint64_t netns, uint64_t cookie)
{
    uint32_t place = all->table[table_seek(all, netns, cookie)];
    return place == NO_PLACE ? NULL : at_place(all, place);
}

const struct connection *connections_find(const struct connections *all, uint64_t netns,
                                          uint64_t cookie)
{
    uint32_t place = all->table[table_seek(all, netns, cookie)];
    return place == NO_PLACE ? NULL : at_place(all, place);
}

const struct aggregates *connections_aggregates(const struct connections *all)
{
    return &all->aggregates;
}

void connections_expire(struct connections *all, uint64_t now, uint64_t keep)
{
    const size_t kept = all->spare_count / 2;
    while (all->spare_count > kept)
        free(all->spares[--all->spare_count]);
    aggregates_expire(&all->aggregates, now, keep);
}

void connections_merge_ports(struct connections *all, bool merge_ports)
{
    all->aggregates.merge_ports = merge_ports;
}

/* Walks */

static bool passes_filter(const struct connection_filter *filter,
                          const struct connection *connection)
{
    if (filter->one_user && filter->uid != connection->uid)
        return false;
    if (filter->roles && !(filter->roles & connection->role))
        return false;
    if (filter->close_reasons && !(filter->close_reasons >> connection->close_reason & 1))
        return false;
    if (filter->rule != NULL && strcmp(filter->rule, connection->rule) != 0)
        return false;
    if (filter->state != NULL && strcmp(filter->state, tcp_state_name(connection->state)) != 0)
        return false;
    return filter->program == NULL || glob_match(filter->program, connection->program);
}

size_t connections_places(const struct connections *all)
{
    return all->chunk_count * CHUNK;
}

static struct connection *walk_places(const struct connections *all, uint64_t *cursor,
                                      size_t *budget)
{
    uint64_t end = (uint64_t)all->chunk_count * CHUNK;
    while (*cursor<end && * budget> 0) {
        uint64_t place = (*cursor)++;
        struct connection *found;
        --*budget;
        if (all->chunks[place / CHUNK] == NULL) {
            *cursor = (place / CHUNK + 1) * CHUNK;
            continue;
        }
        found = look_into(all, (uint32_t)place);
        if (found != NULL)
            return found;
    }
    return NULL;
}

struct connection *connections_walk(struct connections *all, uint64_t *cursor, size_t *budget)
{
    return walk_places(all, cursor, budget);
}

const struct connection *connections_next(const struct connections *all,
                                          const struct connection_filter *filter, uint64_t *cursor,
                                          size_t *budget)
{
    const struct connection *found;
    while ((found = walk_places(all, cursor, budget)) != NULL)
        if (passes_filter(filter, found))
            return found;
    return NULL;
}

const struct connection *connections_next_closed(const struct connections *all,
                                                 const struct connection_filter *filter,
                                                 uint64_t *cursor, size_t *budget)
{
    if (*cursor < all->closed - all->history_count)
        *cursor = all->closed - all->history_count;
    while (*cursor<all->closed && * budget> 0) {
        const struct connection *found = in_history(all, (*cursor)++);
        --*budget;
        if (passes_filter(filter, found))
            return found;
    }
    return NULL;
}

/* A connection's life */

static void keep_options(struct connection *connection, const struct applied_options *options)
{
    connection->applied = options->applied;
    connection->named_count = (uint8_t)options->named;
    for (unsigned i = 0; i < options->named; i++)
        connection->named[i] = option_index(options->names[i]);
    connection->failure_count = (uint8_t)options->failure_count;
    for (unsigned i = 0; i < options->failure_count; i++) {
        connection->failures[i].option = option_index(options->failures[i].option);
        connection->failures[i].error = (uint16_t)options->failures[i].error;
    }
}

static struct applied_options kept_options(const struct connection *connection)
{
    struct applied_options options = {.applied = connection->applied,
                                      .named = connection->named_count,
                                      .failure_count = connection->failure_count};
    for (unsigned i = 0; i < options.named; i++)
        options.names[i] = option_names[connection->named[i]];
    for (unsigned i = 0; i < options.failure_count; i++)
        options.failures[i] = connection_failure(connection, i);
    return options;
}

static void fill_connection(struct connection *connection, const struct connection_start *start)
{
    connection->owner = start->owner;
    /* A socket that has been reset has forgotten its peer. */
    if (start->flow.remote_port != 0 || connection->flow.remote_port == 0) {
        const struct flow known = connection->flow;
        connection->flow = start->flow;
        /* After connect() has failed, or before it is called, the local end is unknown. */
        if (start->flow.local_port == 0 && known.local_port != 0) {
            connection->flow.local_port = known.local_port;
            memcpy(connection->flow.local, known.local, sizeof known.local);
        }
    }
    connection->failed = start->failed;
    connection->pid = start->pid;
    connection->protocol = start->protocol;
    connection->missing_since = 0;
}

static bool has_option(const struct applied_options *options, const char *name)
{
    for (unsigned i = 0; i < options->named; i++)
        if (strcmp(options->names[i], name) == 0)
            return true;
    for (unsigned i = 0; i < options->failure_count; i++)
        if (strcmp(options->failures[i].option, name) == 0)
            return true;
    return false;
}

/* Returns the options that a UDP socket got at connect() and not already at bind(), which was
 * reported before. */
static struct applied_options added_options(const struct connection *connection,
                                            const struct applied_options *now)
{
    const struct applied_options before = kept_options(connection);
    struct applied_options added = {
        .applied = now->applied > before.applied ? now->applied - before.applied : 0};
    for (unsigned i = 0; i < now->named; i++)
        if (!has_option(&before, now->names[i]) && added.named < added.applied)
            added.names[added.named++] = now->names[i];
    for (unsigned i = 0; i < now->failure_count; i++)
        if (!has_option(&before, now->failures[i].option))
            added.failures[added.failure_count++] = now->failures[i];
    return added;
}

/* Updates a connection for another report of the same socket: connect() after a failed one or after
 * bind(), or listen() with another backlog. */
static void open_again(struct connection *connection, const struct connection_start *start)
{
    fill_connection(connection, start);
    /* a repeated report of existing sockets adds nothing */
    if (start->adopted || start->begun)
        return;
    const struct applied_options given = connection->role == ROLE_DATAGRAM
                                             ? added_options(connection, &start->options)
                                             : start->options;
    connection->ifindex = start->ifindex;
    connection->state = 0;
    keep_options(connection, &start->options);
    if (connection->aggregate != NULL)
        aggregate_options(connection->aggregate, &given);
}

static struct connection *open_new(struct connections *all, const struct connection_start *start)
{
    struct connection *connection;
    const char *peer = start->peer != NULL ? start->peer : "";
    uint32_t place;
    size_t at;
    if (table_fit(all) != 0)
        return NULL;
    at = table_seek(all, start->netns, start->cookie);
    place = take_place(all);
    if (place == NO_PLACE)
        return NULL;
    connection = at_place(all, place);
    *connection = (struct connection){.netns = start->netns,
                                      .cookie = start->cookie,
                                      .opened = start->opened,
                                      .uid = start->uid,
                                      .role = start->role,
                                      .adopted = start->adopted,
                                      .ifindex = start->ifindex,
                                      .began = start->began,
                                      .trial = start->trial,
                                      .trial_arm = start->trial_arm,
                                      .program = intern_hold(&all->names, start->program),
                                      .rule = intern_hold(&all->names, start->rule),
                                      .peer = intern_hold(&all->names, peer)};
    if (connection->program == NULL || connection->rule == NULL || connection->peer == NULL) {
        release_shared(all, connection);
        free_place(all, place);
        return NULL;
    }
    fill_connection(connection, start);
    keep_options(connection, &start->options);
    all->table[at] = place;
    all->open++;
    return connection;
}

struct connection *connections_open(struct connections *all, const struct connection_start *start)
{
    struct connection *known = connections_get(all, start->netns, start->cookie);
    if (known == NULL)
        return open_new(all, start);
    open_again(known, start);
    return known;
}

void connections_set_local(struct connection *connection, const struct flow *flow)
{
    if (connection->flow.local_port != 0)
        return;
    memcpy(connection->flow.local, flow->local, sizeof flow->local);
    connection->flow.local_port = flow->local_port;
}

void connections_confirm(struct connections *all, struct connection *connection)
{
    const struct flow *flow = &connection->flow;
    const bool connects = connection->role == ROLE_CONNECT;
    const struct tcp_info_bytes none = {.length = 0};
    struct applied_options options = kept_options(connection);
    struct tcp_info_bytes info;
    connection->verified = true;
    if (connection->aggregate != NULL)
        return;
    connection->aggregate = aggregates_get(
        &all->aggregates,
        &(struct aggregate_key){.program = connection->program,
                                .rule = connection->rule,
                                .role = connection->role,
                                .port = connects ? flow->remote_port : flow->local_port,
                                .peer = connection->peer,
                                .uid = connection->uid},
        connection->opened);
    aggregate_opened(connection->aggregate);
    aggregate_options(connection->aggregate, &options);
    aggregate_queue(connection->aggregate, connection->role,
                    (struct socket_queue){.dropped = connection->queue.dropped}, connection->queue);
    connection_info(connection, &info);
    if (info.length > 0 && !connection->adopted)
        aggregate_sampled(connection->aggregate, &none, &info);
}

/* True if the kernel has cleared its counters before it reports the end, for example after
 * SO_LINGER with 0 seconds: a connection without any segment sent or received does not exist. */
static bool is_wiped(const struct tcp_info_bytes *old, const struct tcp_info_bytes *new)
{
    size_t count;
    const struct tcp_info_field *fields = tcp_info_table(&count);
    const struct tcp_info_field *out = &fields[TCP_INFO_segs_out], *in = &fields[TCP_INFO_segs_in];
    uint64_t before = 0, sent, received;
    if (tcp_info_get(out, new, &sent) != TCP_INFO_VALUE ||
        tcp_info_get(in, new, &received) != TCP_INFO_VALUE)
        return true;
    (void)tcp_info_get(out, old, &before);
    return (sent == 0 && received == 0) || (sent < before && before - sent < UINT32_MAX / 2);
}

static void read_info(const struct connection_reading *reading, struct tcp_info_bytes *info)
{
    info->length = 0;
    if (reading->info == NULL)
        return;
    info->length =
        reading->info_length < CONNECTION_INFO_ROOM ? reading->info_length : CONNECTION_INFO_ROOM;
    memcpy(info->bytes, reading->info, info->length);
}

static void take_figures(struct connection *connection, const struct connection_reading *reading,
                         const struct tcp_info_bytes *old, struct tcp_info_bytes *new)
{
    if (connection->aggregate != NULL && (old->length > 0 || !connection->adopted))
        aggregate_sampled(connection->aggregate, old, new);
    memcpy(connection->info, new->bytes, new->length);
    connection->info_length = (uint16_t) new->length;
    connection->sampled = reading->when;
}

/* Returns whether there were figures. `end`: they are final, and may be cleared. */
static bool take_reading(struct connection *connection, const struct connection_reading *reading,
                         bool end)
{
    struct tcp_info_bytes old, new;
    read_info(reading, &new);
    if (reading->congestion != NULL && reading->congestion[0])
        strncpy(connection->congestion, reading->congestion, sizeof connection->congestion - 1);
    if (connection_has_queue(connection) || new.length == 0)
        return false;
    connection_info(connection, &old);
    if (end && is_wiped(&old, &new))
        return false;
    take_figures(connection, reading, &old, &new);
    return true;
}

/* Drops before the helper knew the socket are not counted. */
static void take_queue(struct connection *connection, const struct socket_queue *queue, bool first)
{
    if (first && (connection->role == ROLE_LISTEN || connection->adopted))
        connection->queue.dropped = queue->dropped;
    if (connection->aggregate != NULL)
        aggregate_queue(connection->aggregate, connection->role, connection->queue, *queue);
    connection->queue = *queue;
}

void connections_sample(struct connections *all, struct connection *connection,
                        const struct connection_reading *reading)
{
    bool first = connection->sampled == 0;
    (void)all;
    connection->state = (uint8_t)reading->state;
    connection->missing_since = 0;
    (void)take_reading(connection, reading, false);
    connection->data = DATA_SAMPLE;
    connection->sampled = reading->when;
    if (connection_has_queue(connection))
        take_queue(connection, &reading->queue, first);
}

void connections_set_options(struct connections *all, struct connection *connection,
                             const uint8_t *bytes, size_t length)
{
    struct connection_options *options = malloc(sizeof *options + length);
    free_options(all, connection->options);
    connection->options = options;
    if (options == NULL)
        return;
    options->length = length;
    memcpy(options->bytes, bytes, length);
    all->options_memory += sizeof *options + length;
}

static void drop_open_connection(struct connections *all, const struct connection *connection)
{
    size_t at = table_seek(all, connection->netns, connection->cookie);
    uint32_t place = all->table[at];
    table_remove(all, at);
    free_place(all, place);
    all->open--;
    (void)table_fit(all);
}

static void keep_in_history(struct connections *all, const struct connection *closed)
{
    if (all->history_size == 0) {
        release_shared(all, closed);
        return;
    }
    if (all->history_count == all->history_size)
        release_shared(all, in_history(all, all->closed));
    else
        all->history_count++;
    *in_history(all, all->closed++) = *closed;
}

/* Called before the final figures replace the last sample. */
static enum close_reason find_ending(const struct connection *connection, enum connection_data data,
                                     const struct connection_reading *reading)
{
    struct tcp_info_bytes sample, last;
    if (data == DATA_LOST || reading == NULL)
        return connection->failed ? connection->failed : CLOSE_LOST;
    if (connection_has_queue(connection))
        return connection->role == ROLE_LISTEN ? CLOSE_LISTENER : CLOSE_DATAGRAM;
    if (reading->ending != CLOSE_NONE)
        return reading->ending;
    connection_info(connection, &sample);
    read_info(reading, &last);
    if (last.length == 0)
        return CLOSE_UNKNOWN;
    if (is_wiped(&sample, &last))
        return connection->failed ? connection->failed : CLOSE_ABORTED;
    return close_reason_of(connection->role == ROLE_CONNECT, &last, reading->unacknowledged,
                           &sample);
}

static void count_close(const struct connection *connection, enum close_reason reason)
{
    struct aggregate *aggregate = connection->aggregate;
    struct tcp_info_bytes info;
    if (aggregate == NULL)
        return;
    aggregate_queue(aggregate, connection->role, connection->queue, (struct socket_queue){0});
    if (connection_has_queue(connection)) {
        aggregate_socket_closed(aggregate, reason);
        return;
    }
    connection_info(connection, &info);
    aggregate_closed(
        aggregate, reason,
        connection->closed > connection->opened ? connection->closed - connection->opened : 0,
        &info);
}

static void count_in_trial(const struct connections *all, const struct connection *connection)
{
    struct tcp_info_bytes info = {.length = 0};
    uint64_t lasted = connection->closed - connection->opened;
    if (connection->trial == 0 || all->trials == NULL || !connection->verified)
        return;
    if (connection->data != DATA_LOST)
        connection_info(connection, &info);
    trials_count(
        all->trials, connection->trial, connection->trial_arm,
        &(struct trial_connection){.began = connection->began,
                                   .duration = connection->closed > connection->opened ? lasted : 0,
                                   .info = &info},
        now_real());
}

void connections_set_trials(struct connections *all, struct trials *trials)
{
    all->trials = trials;
}

void connections_close(struct connections *all, struct connection *connection,
                       enum connection_data data, const struct connection_reading *reading)
{
    struct connection closed;
    enum close_reason reason = find_ending(connection, data, reading);
    bool told = reading != NULL && take_reading(connection, reading, true);
    connection->closed = reading != NULL ? reading->when : connection->missing_since;
    if (connection->closed == 0)
        connection->closed = connection->sampled ? connection->sampled : connection->opened;
    if (data == DATA_FINAL && !told && !connection_has_queue(connection))
        data = connection->info_length ? DATA_SAMPLE
               : connection->failed    ? DATA_FINAL /* there never were any figures */
                                       : DATA_LOST;
    connection->data = (uint8_t)data;
    connection->close_reason = (uint8_t)reason;
    connection->state = STATE_CLOSE;
    count_close(connection, reason);
    count_in_trial(all, connection);
    closed = *connection;
    closed.owner = NULL;
    closed.aggregate = NULL;
    drop_open_connection(all, connection);
    keep_in_history(all, &closed);
}

void connections_reject(struct connections *all, struct connection *connection)
{
    struct connection gone = *connection;
    if (gone.aggregate != NULL) {
        aggregate_queue(gone.aggregate, gone.role, gone.queue, (struct socket_queue){0});
        aggregate_socket_closed(gone.aggregate, CLOSE_REJECTED);
    }
    drop_open_connection(all, connection);
    release_shared(all, &gone);
}
