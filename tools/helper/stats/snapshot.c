/* SPDX-License-Identifier: MIT */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>

static bool same_series(const struct aggregate *a, const struct aggregate *b)
{
    return a->role == b->role && a->port == b->port && a->other == b->other &&
           strcmp(a->program, b->program) == 0 && strcmp(a->rule, b->rule) == 0 &&
           strcmp(a->peer, b->peer) == 0;
}

static int add_outcome(struct aggregate *to, const struct option_count *from)
{
    struct option_count *more;

    for (size_t i = 0; i < to->outcome_count; i++)
        if (to->outcomes[i].error == from->error &&
            strcmp(to->outcomes[i].option, from->option) == 0) {
            to->outcomes[i].count += from->count;
            return 0;
        }
    more = reallocarray(to->outcomes, to->outcome_count + 1, sizeof *more);
    if (!more)
        return -1;
    to->outcomes = more;
    more[to->outcome_count] = *from;
    more[to->outcome_count].option = strdup(from->option);
    return more[to->outcome_count++].option ? 0 : -1;
}

static void add_histogram(struct histogram *to, const struct histogram *from)
{
    for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++)
        to->counts[i] += from->counts[i];
    to->sum += from->sum;
}

static int add_aggregate(struct aggregate *to, const struct aggregate *from)
{
    to->open += from->open;
    to->opened += from->opened;
    to->applied += from->applied;
    to->accept_queue += from->accept_queue;
    to->accept_limit += from->accept_limit;
    for (size_t i = 0; i < CLOSE_COUNT; i++)
        to->closed[i] += from->closed[i];
    for (size_t i = 0; i < SUM_COUNT; i++)
        to->sums[i] += from->sums[i];
    for (size_t i = 0; i < HISTOGRAM_COUNT; i++)
        add_histogram(&to->histograms[i], &from->histograms[i]);
    for (size_t i = 0; i < from->outcome_count; i++)
        if (add_outcome(to, &from->outcomes[i]) != 0)
            return -1;
    return 0;
}

static int append_aggregate(struct snapshot *snapshot, const struct aggregate *from)
{
    struct aggregate *to = &snapshot->aggregates[snapshot->count++];

    *to = (struct aggregate){
        .role = from->role, .port = from->port, .uid = from->uid, .other = from->other};
    to->program = strdup(from->program);
    to->rule = strdup(from->rule);
    to->peer = strdup(from->peer);
    return to->program && to->rule && to->peer ? add_aggregate(to, from) : -1;
}

int snapshot_take(struct snapshot *snapshot, const struct aggregates *aggregates, bool one_user,
                  uid_t uid)
{
    const struct aggregate *aggregate;

    snapshot->count = 0;
    snapshot->aggregates = calloc(aggregates_count(aggregates) + 1, sizeof *snapshot->aggregates);
    if (!snapshot->aggregates)
        return -1;
    for (size_t n = 0; (aggregate = aggregates_at(aggregates, n)) != NULL; n++) {
        struct aggregate *last =
            snapshot->count ? &snapshot->aggregates[snapshot->count - 1] : NULL;
        int failed;

        if (one_user && aggregate->uid != uid)
            continue;
        failed = last && same_series(last, aggregate) ? add_aggregate(last, aggregate)
                                                      : append_aggregate(snapshot, aggregate);
        if (failed) {
            snapshot_free(snapshot);
            return -1;
        }
    }
    return 0;
}

/* The snapshot's strings are its own, though the struct declares them as the model's. */
static void free_text(const char *text)
{
    free((void *)text);
}

void snapshot_free(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        struct aggregate *aggregate = &snapshot->aggregates[i];

        for (size_t j = 0; j < aggregate->outcome_count; j++)
            free_text(aggregate->outcomes[j].option);
        free(aggregate->outcomes);
        free_text(aggregate->program);
        free_text(aggregate->rule);
        free_text(aggregate->peer);
    }
    free(snapshot->aggregates);
    *snapshot = (struct snapshot){0};
}
