/* SPDX-License-Identifier: MIT */
/*
 * Sums, and histograms of times and rates.
 */
#include "aggregates.h"
#include "policy.h"

#include <stdlib.h>
#include <string.h>

#define USER_GROUPS_MAX (GROUPS_MAX / 4)
/* Distinct {option, errno} of a group: an option fails in few ways. */
#define OUTCOMES_MAX 256u
#define NANO         1e-9
#define MICRO        1e-6

static const char *const sum_fields[] = {
    [SUM_BYTES_SENT] = "bytes_sent",
    [SUM_BYTES_ACKED] = "bytes_acked",
    [SUM_BYTES_RECEIVED] = "bytes_received",
    [SUM_BYTES_RETRANS] = "bytes_retrans",
    [SUM_SEGS_OUT] = "segs_out",
    [SUM_SEGS_IN] = "segs_in",
    [SUM_DATA_SEGS_OUT] = "data_segs_out",
    [SUM_DATA_SEGS_IN] = "data_segs_in",
    [SUM_TOTAL_RETRANS] = "total_retrans",
    [SUM_DSACK_DUPS] = "dsack_dups",
    [SUM_REORD_SEEN] = "reord_seen",
    [SUM_RCV_OOOPACK] = "rcv_ooopack",
    [SUM_TOTAL_RTO] = "total_rto",
    [SUM_TOTAL_RTO_TIME] = "total_rto_time",
    [SUM_DELIVERED] = "delivered",
    [SUM_DELIVERED_CE] = "delivered_ce",
    [SUM_BUSY_TIME] = "busy_time",
    [SUM_RWND_LIMITED] = "rwnd_limited",
    [SUM_SNDBUF_LIMITED] = "sndbuf_limited",
};
_Static_assert(sizeof sum_fields / sizeof *sum_fields == SUM_COUNT, "a name for each sum");

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

const char *group_sum_field(enum group_sum sum)
{
    return sum_fields[sum];
}

const double *histogram_bounds(enum histogram_kind kind)
{
    return bounds[kind];
}

static bool same_but_port(const struct group *group, const struct group_key *key)
{
    return group->uid == key->uid && group->role == key->role &&
           strcmp(group->rule, key->rule) == 0 && strcmp(group->program, key->program) == 0 &&
           strcmp(group->peer, key->peer) == 0;
}

static int compare(const struct group *group, const struct group_key *key)
{
    int order = strcmp(group->program, key->program);

    if (order == 0)
        order = strcmp(group->rule, key->rule);
    if (order == 0)
        order = (group->role > key->role) - (group->role < key->role);
    if (order == 0)
        order = (group->port > key->port) - (group->port < key->port);
    if (order == 0)
        order = strcmp(group->peer, key->peer);
    if (order == 0)
        order = (group->uid > key->uid) - (group->uid < key->uid);
    return order;
}

/* Where the group is, or where it would go. */
static size_t seek(const struct groups *groups, const struct group_key *key, bool *found)
{
    size_t low = 0, high = groups->count;

    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(groups->sorted[middle], key);

        *found |= order == 0;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_all_ports(const struct groups *groups, const struct group_key *key)
{
    size_t ports = 0;

    for (size_t i = 0; i < groups->count; i++)
        ports += same_but_port(groups->sorted[i], key);
    return ports >= GROUP_PORTS_MAX;
}

static bool may_have_more(const struct groups *groups, uid_t uid)
{
    size_t own = 0;

    if (groups->count >= GROUPS_MAX)
        return false;
    for (size_t i = 0; i < groups->count; i++)
        own += groups->sorted[i]->uid == uid;
    return uid == 0 || own < USER_GROUPS_MAX;
}

static struct group *make(struct groups *groups, const struct group_key *key)
{
    size_t size =
        sizeof(struct group) + strlen(key->program) + strlen(key->rule) + strlen(key->peer) + 3;
    struct group *group;
    char *text;

    if (!groups->sorted)
        groups->sorted = calloc(GROUPS_MAX, sizeof(struct group *));
    if (!groups->sorted)
        return NULL;
    group = calloc(1, size);
    if (!group)
        return NULL;
    text = (char *)(group + 1);
    group->program = strcpy(text, key->program);
    text += strlen(key->program) + 1;
    group->rule = strcpy(text, key->rule);
    text += strlen(key->rule) + 1;
    group->peer = strcpy(text, key->peer);
    group->role = key->role;
    group->port = key->port;
    group->uid = key->uid;
    groups->memory += size;
    return group;
}

static struct group *other(struct groups *groups)
{
    groups->other.program = "other";
    groups->other.rule = "other";
    groups->other.peer = "";
    groups->other.port = GROUP_PORT_OTHER;
    groups->other.uid = (uid_t)-1;
    groups->other.other = true;
    groups->other_used = true;
    return &groups->other;
}

static struct group *add(struct groups *groups, const struct group_key *key, size_t at)
{
    struct group *group = may_have_more(groups, key->uid) ? make(groups, key) : NULL;

    if (!group)
        return other(groups);
    memmove(groups->sorted + at + 1, groups->sorted + at,
            (groups->count - at) * sizeof(struct group *));
    groups->sorted[at] = group;
    groups->count++;
    return group;
}

struct group *groups_get(struct groups *groups, const struct group_key *key)
{
    struct group_key rest = *key;
    size_t at, at_rest;
    bool found;

    rest.port = GROUP_PORT_OTHER;
    at = seek(groups, key, &found);
    if (found)
        return groups->sorted[at];
    /* Where there is a rest, the ports have run out, and need not be counted again. */
    at_rest = seek(groups, &rest, &found);
    if (found)
        return groups->sorted[at_rest];
    return has_all_ports(groups, key) ? add(groups, &rest, at_rest) : add(groups, key, at);
}

void groups_free(struct groups *groups)
{
    for (size_t i = 0; i < groups->count; i++) {
        free(groups->sorted[i]->outcomes);
        free(groups->sorted[i]);
    }
    free(groups->other.outcomes);
    free(groups->sorted);
    *groups = (struct groups){0};
}

static void observe(struct group *group, enum histogram_kind kind, double value)
{
    struct histogram *histogram = &group->histograms[kind];
    unsigned bucket = 0;

    while (bucket < HISTOGRAM_BUCKETS && value > bounds[kind][bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum += value;
}

static void count_outcome(struct group *group, const char *option, int error)
{
    struct option_count *more;

    for (size_t i = 0; i < group->outcome_count; i++) {
        struct option_count *known = &group->outcomes[i];

        if (known->error == error &&
            (known->option == option || strcmp(known->option, option) == 0)) {
            known->count++;
            return;
        }
    }
    if (group->outcome_count == OUTCOMES_MAX)
        return;
    more = reallocarray(group->outcomes, group->outcome_count + 1, sizeof *more);
    if (!more)
        return;
    group->outcomes = more;
    more[group->outcome_count++] = (struct option_count){option, error, 1};
}

void group_options(struct group *group, const struct connection_start *start)
{
    group->applied += start->applied;
    for (unsigned i = 0; i < start->named && i < CONNECTION_NAMED_MAX; i++)
        count_outcome(group, start->options[i], 0);
    for (unsigned i = 0; i < start->failure_count && i < CONNECTION_FAILURES_MAX; i++)
        count_outcome(group, start->failures[i].option, start->failures[i].error);
}

void group_opened(struct group *group, const struct connection_start *start)
{
    group->open++;
    group->opened++;
    group_options(group, start);
}

/* What a counter of `width` bytes rose by. One that fell has wrapped around if it fell far, and
 * else was reset. */
static uint64_t rise(uint64_t old, uint64_t new, unsigned width)
{
    uint64_t range = width < sizeof range ? UINT64_C(1) << (8 * width) : 0;

    if (new >= old)
        return new - old;
    return old - new > range / 2 && range ? new + range - old : 0;
}

static const struct tcp_info_field *summed[SUM_COUNT];
static const struct tcp_info_field *rtt_field, *min_rtt_field, *rate_field, *app_limited_field;

/* The rows of the table that are looked at over and over. */
static void find_fields(void)
{
    if (rtt_field)
        return;
    for (unsigned i = 0; i < SUM_COUNT; i++)
        summed[i] = tcp_info_find(sum_fields[i]);
    rtt_field = tcp_info_find("rtt");
    min_rtt_field = tcp_info_find("min_rtt");
    rate_field = tcp_info_find("delivery_rate");
    app_limited_field = tcp_info_find("app_limited");
}

/* The rate says something of the path only where the program had more to send. */
static void observe_rate(struct group *group, const struct tcp_info_bytes *info)
{
    uint64_t rate, limited;

    if (tcp_info_get(rate_field, info, &rate) == TCP_INFO_VALUE && rate > 0 &&
        tcp_info_get(app_limited_field, info, &limited) == TCP_INFO_VALUE && !limited)
        observe(group, HISTOGRAM_DELIVERY_RATE, (double)rate);
}

void group_sampled(struct group *group, const struct tcp_info_bytes *old,
                   const struct tcp_info_bytes *new)
{
    uint64_t before, after;

    find_fields();
    for (unsigned i = 0; i < SUM_COUNT; i++) {
        if (tcp_info_get(summed[i], new, &after) != TCP_INFO_VALUE)
            continue;
        if (tcp_info_get(summed[i], old, &before) != TCP_INFO_VALUE)
            before = 0;
        group->sums[i] += rise(before, after, summed[i]->width);
    }
    if (tcp_info_get(rtt_field, new, &after) == TCP_INFO_VALUE && after > 0)
        observe(group, HISTOGRAM_RTT, (double)after * MICRO);
    observe_rate(group, new);
}

void group_queue(struct group *group, const struct connection *listener, uint32_t queue,
                 uint32_t limit)
{
    group->accept_queue += (uint64_t)queue - listener->accept_queue;
    group->accept_limit += (uint64_t)limit - listener->accept_limit;
}

void group_closed(struct group *group, const struct connection *connection)
{
    struct tcp_info_bytes info;
    uint64_t min_rtt;

    find_fields();
    group->open--;
    group->closed[connection->close_reason]++;
    group_queue(group, connection, 0, 0);
    if (connection->role == ROLE_LISTEN)
        return;
    if (connection->closed > connection->opened)
        observe(group, HISTOGRAM_DURATION,
                (double)(connection->closed - connection->opened) * NANO);
    else
        observe(group, HISTOGRAM_DURATION, 0);
    connection_info(connection, &info);
    if (tcp_info_get(min_rtt_field, &info, &min_rtt) == TCP_INFO_VALUE && min_rtt > 0)
        observe(group, HISTOGRAM_MIN_RTT, (double)min_rtt * MICRO);
}
