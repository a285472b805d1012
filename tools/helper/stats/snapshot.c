/* SPDX-License-Identifier: MIT */
#include "snapshot.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* Returns -1 if there is no memory; what was allocated is freed with the snapshot. */
static int copy_aggregate(struct aggregate *to, const struct aggregate *from)
{
    size_t outcomes = from->outcome_count * sizeof *from->outcomes;
    *to = *from;
    to->program = utf8_escaped(from->program);
    to->rule = utf8_escaped(from->rule);
    to->peer = utf8_escaped(from->peer);
    to->outcomes = malloc(outcomes + 1);
    if (to->program == NULL || to->rule == NULL || to->peer == NULL || to->outcomes == NULL)
        return -1;
    if (outcomes > 0)
        memcpy(to->outcomes, from->outcomes, outcomes);
    return 0;
}

int snapshot_take(struct snapshot *snapshot, const struct aggregates *aggregates, bool one_user,
                  uid_t uid)
{
    const struct aggregate *aggregate;
    snapshot->count = 0;
    snapshot->aggregates = calloc(aggregates_count(aggregates) + 1, sizeof *snapshot->aggregates);
    if (snapshot->aggregates == NULL)
        return -1;
    for (size_t n = 0; (aggregate = aggregates_at(aggregates, n)) != NULL; n++) {
        if (one_user && aggregate->uid != uid)
            continue;
        if (copy_aggregate(&snapshot->aggregates[snapshot->count++], aggregate) != 0) {
            snapshot_free(snapshot);
            return -1;
        }
    }
    return 0;
}

/* The snapshot owns its texts, although the struct declares them const. */
static void free_text(const char *text)
{
    free((void *)text);
}

void snapshot_free(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++) {
        struct aggregate *aggregate = &snapshot->aggregates[i];
        free(aggregate->outcomes);
        free_text(aggregate->program);
        free_text(aggregate->rule);
        free_text(aggregate->peer);
    }
    free(snapshot->aggregates);
    *snapshot = (struct snapshot){0};
}
