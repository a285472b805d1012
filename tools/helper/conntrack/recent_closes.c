/* SPDX-License-Identifier: MIT */
/*
 * Ends lie in the order of their coming, in a ring; those whose cookies have one hash are chained.
 * Cookies are numbered, by each CPU within a block of its own (include/linux/cookie.h), so their
 * low bits alone would make many share a chain.
 */
#include "recent_closes.h"

#include <stdlib.h>
#include <string.h>

#define CHAINS 16384u /* a power of two */
#define NONE   UINT16_MAX

struct early_ends {
    struct early_end ends[EARLY_ENDS];
    uint16_t next[EARLY_ENDS]; /* in the chain; NONE: the last */
    uint16_t chains[CHAINS];
    uint64_t count; /* that ever came */
};
_Static_assert(EARLY_ENDS < NONE, "places fit");

struct early_ends *early_new(void)
{
    struct early_ends *ends = calloc(1, sizeof *ends);

    if (ends)
        memset(ends->chains, 0xff, sizeof ends->chains);
    return ends;
}

void early_free(struct early_ends *ends)
{
    free(ends);
}

static uint16_t *chain_of(struct early_ends *ends, uint64_t cookie)
{
    return &ends->chains[(cookie * 0x9e3779b97f4a7c15u >> 32) & (CHAINS - 1)];
}

static void unchain(struct early_ends *ends, uint16_t place)
{
    uint16_t *at = chain_of(ends, ends->ends[place].cookie);

    while (*at != place)
        at = &ends->next[*at];
    *at = ends->next[place];
}

void early_add(struct early_ends *ends, const struct diag_answer *answer, uint64_t when, bool known)
{
    uint16_t place = (uint16_t)(ends->count % EARLY_ENDS);
    struct early_end *end = &ends->ends[place];
    uint16_t *chain = chain_of(ends, answer->target.cookie);

    if (ends->count++ >= EARLY_ENDS)
        unchain(ends, place);
    end->cookie = answer->target.cookie;
    end->when = when;
    memcpy(end->local, answer->target.local, sizeof end->local);
    memcpy(end->remote, answer->target.remote, sizeof end->remote);
    end->local_port = answer->target.local_port;
    end->remote_port = answer->target.remote_port;
    end->unacknowledged = answer->send_queue;
    end->known = known;
    end->info_length = 0;
    if (answer->info && !known) {
        end->info_length = (uint16_t)(answer->info_length < sizeof end->info ? answer->info_length
                                                                             : sizeof end->info);
        memcpy(end->info, answer->info, end->info_length);
    }
    ends->next[place] = *chain;
    *chain = place;
}

struct early_end *early_find(struct early_ends *ends, uint64_t cookie)
{
    for (uint16_t at = *chain_of(ends, cookie); at != NONE; at = ends->next[at])
        if (ends->ends[at].cookie == cookie)
            return &ends->ends[at];
    return NULL;
}

static bool has_ends(const struct early_end *end, const struct diag_target *target)
{
    return end->local_port == target->local_port && end->remote_port == target->remote_port &&
           memcmp(end->local, target->local, sizeof end->local) == 0 &&
           memcmp(end->remote, target->remote, sizeof end->remote) == 0;
}

struct early_end *early_find_ends(struct early_ends *ends, const struct diag_target *target,
                                  uint64_t since)
{
    uint64_t kept = ends->count < EARLY_ENDS ? ends->count : EARLY_ENDS;

    for (uint64_t back = 1; back <= kept; back++) {
        struct early_end *end = &ends->ends[(ends->count - back) % EARLY_ENDS];

        if (end->when < since)
            return NULL;
        if (has_ends(end, target))
            return end;
    }
    return NULL;
}
