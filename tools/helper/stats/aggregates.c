/* SPDX-License-Identifier: MIT */
/*
 * Sums, and histograms of times and rates.
 */
#include "aggregates.h"
#include "policy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Maximum of distinct {option, errno} per aggregate: an option fails in few ways. */
#define OUTCOMES_MAX 256u
#define NANO         1e-9
#define MICRO        1e-6

static const double bounds[HISTOGRAM_COUNT][HISTOGRAM_BUCKETS] = {
    [HISTOGRAM_DURATION] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600,
                            14400, 86400},
    [HISTOGRAM_RTT] = {0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                       0.2, 0.3, 0.5, 1, 2},
    [HISTOGRAM_MIN_RTT] = {0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                           0.1, 0.2, 0.3, 0.5, 1, 2},
    [HISTOGRAM_DELIVERY_RATE] = {1e4, 2.5e4, 1e5, 2.5e5, 1e6, 2.5e6, 5e6, 1e7, 2.5e7, 5e7, 1e8,
                                 2.5e8, 5e8, 1e9, 2.5e9, 1e10},
};

const double *histogram_bounds(enum histogram_kind kind)
{
    return bounds[kind];
}

uint64_t histogram_count(const struct histogram *histogram)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++)
        count += histogram->counts[i];
    return count;
}

static bool same_but_port(const struct aggregate *aggregate, const struct aggregate_key *key)
{
    return aggregate->uid == key->uid && aggregate->role == key->role &&
           strcmp(aggregate->rule, key->rule) == 0 &&
           strcmp(aggregate->program, key->program) == 0 && strcmp(aggregate->peer, key->peer) == 0;
}

static int compare_key(const struct aggregate *aggregate, const struct aggregate_key *key)
{
    int order = strcmp(aggregate->program, key->program);
    if (order == 0)
        order = strcmp(aggregate->rule, key->rule);
    if (order == 0)
        order = (aggregate->role > key->role) - (aggregate->role < key->role);
    if (order == 0)
        order = (aggregate->port > key->port) - (aggregate->port < key->port);
    if (order == 0)
        order = strcmp(aggregate->peer, key->peer);
    if (order == 0)
        order = (aggregate->uid > key->uid) - (aggregate->uid < key->uid);
    return order;
}

/* Returns the index of the aggregate, or the index where it would be inserted. */
static size_t seek_key(const struct aggregates *aggregates, const struct aggregate_key *key,
                       bool *found)
{
    size_t low = 0, high = aggregates->count;
    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare_key(aggregates->sorted[middle], key);
        *found |= order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_all_ports(const struct aggregates *aggregates, const struct aggregate_key *key)
{
    size_t ports = 0;
    for (size_t i = 0; i < aggregates->count; i++)
        ports += same_but_port(aggregates->sorted[i], key);
    return ports >= AGGREGATE_PORTS_MAX;
}

/* An "other" does not count: each user may have one. */
static bool may_have_more(const struct aggregates *aggregates, uid_t uid)
{
    size_t own = 0, others = 0;
    for (size_t i = 0; i < aggregates->count; i++) {
        const struct aggregate *aggregate = aggregates->sorted[i];
        own += aggregate->uid == uid && !aggregate->other;
        others += aggregate->uid != 0;
    }
    if (uid == 0)
        return own < AGGREGATES_ROOT_MAX;
    if (others >= AGGREGATES_SHARED_MAX)
        return own < AGGREGATES_USER_LEAST && others < AGGREGATES_OTHERS_MAX;
    return own < AGGREGATES_USER_MAX;
}

static size_t size_of_aggregate(const char *program, const char *rule, const char *peer)
{
    return sizeof(struct aggregate) + strlen(program) + strlen(rule) + strlen(peer) + 3;
}

static struct aggregate *make_aggregate(const struct aggregate_key *key)
{
    struct aggregate *aggregate = calloc(1, size_of_aggregate(key->program, key->rule, key->peer));
    char *text;
    if (aggregate == NULL)
        return NULL;
    text = (char *)(aggregate + 1);
    aggregate->program = text;
    text = stpcpy(text, key->program) + 1;
    aggregate->rule = text;
    text = stpcpy(text, key->rule) + 1;
    aggregate->peer = strcpy(text, key->peer);
    aggregate->role = key->role;
    aggregate->port = key->port;
    aggregate->uid = key->uid;
    return aggregate;
}

/* NULL if there is no memory. */
static struct aggregate *insert_aggregate(struct aggregates *aggregates,
                                          const struct aggregate_key *key, size_t at)
{
    struct aggregate **more =
        reallocarray(aggregates->sorted, aggregates->count + 1, sizeof(struct aggregate *));
    struct aggregate *aggregate;
    if (more == NULL)
        return NULL;
    aggregates->sorted = more;
    aggregate = make_aggregate(key);
    if (aggregate == NULL)
        return NULL;
    memmove(more + at + 1, more + at, (aggregates->count - at) * sizeof(struct aggregate *));
    more[at] = aggregate;
    aggregates->count++;
    aggregates->memory += size_of_aggregate(key->program, key->rule, key->peer);
    return aggregate;
}

/* Returns the aggregate for everything that has no room elsewhere. */
static struct aggregate *get_last_resort(struct aggregates *aggregates)
{
    aggregates->other.program = "other";
    aggregates->other.rule = "other";
    aggregates->other.peer = "";
    aggregates->other.port = AGGREGATE_PORT_OTHER;
    aggregates->other.uid = (uid_t)-1;
    aggregates->other.other = true;
    aggregates->other_used = true;
    return &aggregates->other;
}

/* Returns the user's "other". */
static struct aggregate *get_other(struct aggregates *aggregates, uid_t uid)
{
    const struct aggregate_key key = {
        .program = "other", .rule = "other", .port = AGGREGATE_PORT_OTHER, .peer = "", .uid = uid};
    bool found;
    size_t at = seek_key(aggregates, &key, &found);
    struct aggregate *other = NULL;
    if (found)
        return aggregates->sorted[at];
    if (uid == 0 || aggregates->count < AGGREGATES_ROOT_MAX + AGGREGATES_OTHERS_MAX)
        other = insert_aggregate(aggregates, &key, at);
    if (other == NULL)
        return get_last_resort(aggregates);
    other->other = true;
    return other;
}

static struct aggregate *find_or_make(struct aggregates *aggregates,
                                      const struct aggregate_key *key)
{
    struct aggregate_key rest = *key;
    struct aggregate *made = NULL;
    size_t at, at_rest;
    bool found;
    rest.port = AGGREGATE_PORT_OTHER;
    at = seek_key(aggregates, key, &found);
    if (found)
        return aggregates->sorted[at];
    /* If the aggregate for further ports exists, the limit of ports is reached, and counting is
     * unnecessary. */
    at_rest = seek_key(aggregates, &rest, &found);
    if (found)
        return aggregates->sorted[at_rest];
    if (may_have_more(aggregates, key->uid))
        made = has_all_ports(aggregates, key) ? insert_aggregate(aggregates, &rest, at_rest)
                                              : insert_aggregate(aggregates, key, at);
    return made != NULL ? made : get_other(aggregates, key->uid);
}

struct aggregate *aggregates_get(struct aggregates *aggregates, const struct aggregate_key *key,
                                 uint64_t now)
{
    struct aggregate_key wanted = *key;
    struct aggregate *aggregate;
    if (aggregates->merge_ports)
        wanted.port = AGGREGATE_PORT_ALL;
    aggregate = find_or_make(aggregates, &wanted);
    if (now > aggregate->used)
        aggregate->used = now;
    return aggregate;
}

static void free_aggregate(struct aggregates *aggregates, struct aggregate *aggregate)
{
    aggregates->memory -= size_of_aggregate(aggregate->program, aggregate->rule, aggregate->peer);
    free(aggregate->outcomes);
    free(aggregate);
}

void aggregates_expire(struct aggregates *aggregates, uint64_t now, uint64_t keep)
{
    size_t kept = 0;
    for (size_t i = 0; i < aggregates->count; i++) {
        struct aggregate *aggregate = aggregates->sorted[i];
        if (aggregate->open > 0 && now > aggregate->used)
            aggregate->used = now;
        if (aggregate->open == 0 && now > aggregate->used && now - aggregate->used > keep)
            free_aggregate(aggregates, aggregate);
        else
            aggregates->sorted[kept++] = aggregate;
    }
    aggregates->count = kept;
}

const struct aggregate *aggregates_at(const struct aggregates *aggregates, size_t n)
{
    if (n < aggregates->count)
        return aggregates->sorted[n];
    return n == aggregates->count && aggregates->other_used ? &aggregates->other : NULL;
}

size_t aggregates_count(const struct aggregates *aggregates)
{
    return aggregates->count + aggregates->other_used;
}

void aggregates_free(struct aggregates *aggregates)
{
    for (size_t i = 0; i < aggregates->count; i++)
        free_aggregate(aggregates, aggregates->sorted[i]);
    free(aggregates->other.outcomes);
    free(aggregates->sorted);
    *aggregates = (struct aggregates){0};
}

static void aggregate_observe(struct aggregate *aggregate, enum histogram_kind kind, double value)
{
    struct histogram *histogram = &aggregate->histograms[kind];
    unsigned bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS && value > bounds[kind][bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum += value;
}

static void count_outcome(struct aggregate *aggregate, const char *option, int error)
{
    struct option_count *more;
    for (size_t i = 0; i < aggregate->outcome_count; i++) {
        struct option_count *known = &aggregate->outcomes[i];
        if (known->error == error &&
            (known->option == option || strcmp(known->option, option) == 0)) {
            known->count++;
            return;
        }
    }
    if (aggregate->outcome_count == OUTCOMES_MAX)
        return;
    more = reallocarray(aggregate->outcomes, aggregate->outcome_count + 1, sizeof *more);
    if (more == NULL)
        return;
    aggregate->outcomes = more;
    more[aggregate->outcome_count++] = (struct option_count){option, error, 1};
}

void aggregate_options(struct aggregate *aggregate, const struct applied_options *options)
{
    aggregate->applied += options->applied;
    for (unsigned i = 0; i < options->named; i++)
        count_outcome(aggregate, options->names[i], 0);
    for (unsigned i = 0; i < options->failure_count; i++)
        count_outcome(aggregate, options->failures[i].option, options->failures[i].error);
}

void aggregate_opened(struct aggregate *aggregate)
{
    aggregate->open++;
    aggregate->opened++;
}

/* Returns the increase of a counter of `width` bytes. A smaller value means that it wrapped around,
 * if it fell far; otherwise it was reset. */
static uint64_t counter_increase(uint64_t old, uint64_t new, unsigned width)
{
    uint64_t range = width < sizeof range ? UINT64_C(1) << (8 * width) : 0;
    if (new >= old)
        return new - old;
    return old - new > range / 2 && range ? new + range - old : 0;
}

/* See tcp_info_is_bulk(). If the program had no more data to send, the rate says nothing about the
 * path. */
static void observe_rate(struct aggregate *aggregate, const struct tcp_info_bytes *info)
{
    double rate = tcp_info_number(info, TCP_INFO_delivery_rate);
    if (!isnan(rate) && tcp_info_number(info, TCP_INFO_app_limited) == 0 &&
        tcp_info_is_bulk(tcp_info_number(info, TCP_INFO_bytes_sent),
                         tcp_info_number(info, TCP_INFO_data_segs_out),
                         tcp_info_number(info, TCP_INFO_snd_mss)))
        aggregate_observe(aggregate, HISTOGRAM_DELIVERY_RATE, rate);
}

static void observe_time(struct aggregate *aggregate, enum histogram_kind kind,
                         const struct tcp_info_bytes *info, enum tcp_info_id id)
{
    double microseconds = tcp_info_number(info, id);
    if (microseconds > 0)
        aggregate_observe(aggregate, kind, microseconds * MICRO);
}

void aggregate_sampled(struct aggregate *aggregate, const struct tcp_info_bytes *old,
                       const struct tcp_info_bytes *new)
{
    uint64_t before, after;
    for (unsigned i = 0; i < SUM_COUNT; i++) {
        const struct tcp_info_field *field = tcp_info_sum((enum tcp_info_sum)i);
        if (tcp_info_get(field, new, &after) != TCP_INFO_VALUE)
            continue;
        if (tcp_info_get(field, old, &before) != TCP_INFO_VALUE)
            before = 0;
        aggregate->sums[i] += counter_increase(before, after, field->width);
    }
    observe_time(aggregate, HISTOGRAM_RTT, new, TCP_INFO_rtt);
    observe_rate(aggregate, new);
}

void aggregate_queue(struct aggregate *aggregate, unsigned role, struct socket_queue from,
                     struct socket_queue to)
{
    if (!aggregate->other || role != ROLE_DATAGRAM) {
        aggregate->queue_length += (uint64_t)to.length - from.length;
        aggregate->queue_limit += (uint64_t)to.limit - from.limit;
    }
    if (to.dropped > from.dropped)
        aggregate_dropped(aggregate, to.dropped - from.dropped);
}

void aggregate_dropped(struct aggregate *aggregate, uint64_t more)
{
    aggregate->dropped += more;
}

void aggregate_socket_closed(struct aggregate *aggregate, enum close_reason reason)
{
    aggregate->open--;
    aggregate->closed[reason]++;
}

void aggregate_closed(struct aggregate *aggregate, enum close_reason reason, uint64_t duration,
                      const struct tcp_info_bytes *info)
{
    aggregate->open--;
    aggregate->closed[reason]++;
    aggregate_observe(aggregate, HISTOGRAM_DURATION, (double)duration * NANO);
    observe_time(aggregate, HISTOGRAM_MIN_RTT, info, TCP_INFO_min_rtt);
}
