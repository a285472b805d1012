/* SPDX-License-Identifier: MIT */
#include "totals.h"

#include <stdlib.h>
#include <string.h>

static bool same_series(const struct group *a, const struct group *b)
{
    return a->role == b->role && a->port == b->port && a->other == b->other &&
           strcmp(a->program, b->program) == 0 && strcmp(a->rule, b->rule) == 0 &&
           strcmp(a->peer, b->peer) == 0;
}

static int add_outcome(struct group *to, const struct option_count *from)
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

static int add_group(struct group *to, const struct group *from)
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

static int append_group(struct totals *totals, const struct group *from)
{
    struct group *to = &totals->groups[totals->count++];

    *to = (struct group){
        .role = from->role, .port = from->port, .uid = from->uid, .other = from->other};
    to->program = strdup(from->program);
    to->rule = strdup(from->rule);
    to->peer = strdup(from->peer);
    return to->program && to->rule && to->peer ? add_group(to, from) : -1;
}

int totals_take(struct totals *totals, const struct connections *connections, bool one_user,
                uid_t uid)
{
    const struct group *group;

    totals->count = 0;
    totals->groups = calloc(connections_size(connections).groups + 1, sizeof *totals->groups);
    if (!totals->groups)
        return -1;
    for (size_t n = 0; (group = connections_group(connections, n)) != NULL; n++) {
        struct group *last = totals->count ? &totals->groups[totals->count - 1] : NULL;
        int failed;

        if (one_user && group->uid != uid)
            continue;
        failed =
            last && same_series(last, group) ? add_group(last, group) : append_group(totals, group);
        if (failed) {
            totals_free(totals);
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

void totals_free(struct totals *totals)
{
    for (size_t i = 0; i < totals->count; i++) {
        struct group *group = &totals->groups[i];

        for (size_t j = 0; j < group->outcome_count; j++)
            free_text(group->outcomes[j].option);
        free(group->outcomes);
        free_text(group->program);
        free_text(group->rule);
        free_text(group->peer);
    }
    free(totals->groups);
    *totals = (struct totals){0};
}
