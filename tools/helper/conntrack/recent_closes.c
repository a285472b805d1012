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

struct recent_closes {
    struct recent_close ends[RECENT_CLOSES_MAX];
    uint16_t next[RECENT_CLOSES_MAX]; /* in the chain; NONE: the last */
    uint16_t chains[CHAINS];
    uint64_t count; /* that ever came */
};
_Static_assert(RECENT_CLOSES_MAX < NONE, "places fit");

struct recent_closes *recent_closes_new(void)
{
    struct recent_closes *ends = calloc(1, sizeof *ends);

    if (ends)
        memset(ends->chains, 0xff, sizeof ends->chains);
    return ends;
}

void recent_closes_free(struct recent_closes *ends)
{
    free(ends);
}

static uint16_t *chain_of(struct recent_closes *ends, uint64_t cookie)
{
    return &ends->chains[(cookie * 0x9e3779b97f4a7c15u >> 32) & (CHAINS - 1)];
}

static void unchain(struct recent_closes *ends, uint16_t place)
{
    uint16_t *at = chain_of(ends, ends->ends[place].cookie);

    while (*at != place)
        at = &ends->next[*at];
    *at = ends->next[place];
}

void recent_closes_add(struct recent_closes *ends, const struct sock_diag_answer *answer,
                       uint64_t when, bool known)
{
    uint16_t place = (uint16_t)(ends->count % RECENT_CLOSES_MAX);
    struct recent_close *end = &ends->ends[place];
    uint16_t *chain = chain_of(ends, answer->target.cookie);

    if (ends->count++ >= RECENT_CLOSES_MAX)
        unchain(ends, place);
    end->cookie = answer->target.cookie;
    end->when = when;
    end->flow = answer->target.flow;
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

struct recent_close *recent_closes_find(struct recent_closes *ends, uint64_t cookie)
{
    for (uint16_t at = *chain_of(ends, cookie); at != NONE; at = ends->next[at])
        if (ends->ends[at].cookie == cookie)
            return &ends->ends[at];
    return NULL;
}

struct recent_close *recent_closes_find_flow(struct recent_closes *ends, const struct flow *flow,
                                             uint64_t since)
{
    uint64_t kept = ends->count < RECENT_CLOSES_MAX ? ends->count : RECENT_CLOSES_MAX;

    for (uint64_t back = 1; back <= kept; back++) {
        struct recent_close *end = &ends->ends[(ends->count - back) % RECENT_CLOSES_MAX];

        if (end->when < since)
            return NULL;
        if (flow_has_ends_of(&end->flow, flow))
            return end;
    }
    return NULL;
}
