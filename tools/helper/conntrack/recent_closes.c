/* SPDX-License-Identifier: MIT */
/*
 * Ends are kept in a ring, in order of arrival; those with equal hashes of their cookies are
 * chained. Cookies are consecutive numbers, from a separate block for each CPU
 * (include/linux/cookie.h), so without a hash their low bits would put many into one chain.
 */
#include "recent_closes.h"

#include <stdlib.h>
#include <string.h>

#define NONE UINT16_MAX

struct recent_closes {
    struct recent_close *ends; /* `size` entries; number n is at n % size */
    uint16_t *next;            /* in the chain; NONE: end */
    uint16_t *chains;          /* 2 * size entries */
    uint32_t size;             /* a power of two */
    uint32_t kept;
    uint64_t count; /* number of ends that ever came */
};
_Static_assert(RECENT_CLOSES_MAX < NONE, "places fit");

static bool make_places(struct recent_closes *ends, uint32_t size)
{
    ends->size = size;
    ends->ends = calloc(size, sizeof *ends->ends);
    ends->next = calloc(size, sizeof *ends->next);
    ends->chains = malloc((size_t)2 * size * sizeof *ends->chains);
    if (ends->ends == NULL || ends->next == NULL || ends->chains == NULL)
        return false;
    memset(ends->chains, 0xff, (size_t)2 * size * sizeof *ends->chains);
    return true;
}

static void free_places(const struct recent_closes *ends)
{
    free(ends->ends);
    free(ends->next);
    free(ends->chains);
}

struct recent_closes *recent_closes_new(void)
{
    struct recent_closes *ends = calloc(1, sizeof *ends);
    if (ends == NULL || make_places(ends, RECENT_CLOSES_MIN))
        return ends;
    recent_closes_free(ends);
    return NULL;
}

void recent_closes_free(struct recent_closes *ends)
{
    if (ends == NULL)
        return;
    free_places(ends);
    free(ends);
}

size_t recent_closes_memory(const struct recent_closes *ends)
{
    return sizeof *ends +
           ends->size * (sizeof *ends->ends + sizeof *ends->next + 2 * sizeof *ends->chains);
}

static uint16_t *chain_of(const struct recent_closes *ends, uint64_t cookie)
{
    return &ends->chains[(cookie * 0x9e3779b97f4a7c15u >> 32) & (2 * ends->size - 1)];
}

static void chain_place(struct recent_closes *ends, uint16_t place)
{
    uint16_t *chain = chain_of(ends, ends->ends[place].cookie);
    ends->next[place] = *chain;
    *chain = place;
}

static void unchain_place(struct recent_closes *ends, uint16_t place)
{
    uint16_t *at = chain_of(ends, ends->ends[place].cookie);
    while (*at != place)
        at = &ends->next[*at];
    *at = ends->next[place];
}

void recent_closes_grow(struct recent_closes *ends, uint64_t when)
{
    const struct recent_close *oldest = &ends->ends[ends->count % ends->size];
    struct recent_closes more = {.count = ends->count, .kept = ends->kept};
    if (ends->kept < ends->size || ends->size == RECENT_CLOSES_MAX ||
        when - oldest->when >= RECENT_CLOSE_AGE_NS)
        return;
    if (!make_places(&more, ends->size * 2)) {
        free_places(&more);
        return;
    }
    for (uint64_t number = ends->count - ends->kept; number < ends->count; number++) {
        uint16_t place = (uint16_t)(number % more.size);
        more.ends[place] = ends->ends[number % ends->size];
        chain_place(&more, place);
    }
    free_places(ends);
    *ends = more;
}

void recent_closes_add(struct recent_closes *ends, const struct sock_diag_answer *answer,
                       uint64_t when, bool known)
{
    uint16_t place = (uint16_t)(ends->count % ends->size);
    struct recent_close *end = &ends->ends[place];
    if (ends->kept == ends->size)
        unchain_place(ends, place);
    else
        ends->kept++;
    ends->count++;
    end->cookie = answer->target.cookie;
    end->when = when;
    end->flow = answer->target.flow;
    end->unacknowledged = answer->send_queue;
    end->known = known;
    end->info_length = 0;
    if (answer->info != NULL && !known) {
        end->info_length = (uint16_t)(answer->info_length < sizeof end->info ? answer->info_length
                                                                             : sizeof end->info);
        memcpy(end->info, answer->info, end->info_length);
    }
    chain_place(ends, place);
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
    for (uint64_t back = 1; back <= ends->kept; back++) {
        struct recent_close *end = &ends->ends[(ends->count - back) % ends->size];
        if (end->when < since)
            return NULL;
        if (flow_has_ends_of(&end->flow, flow))
            return end;
    }
    return NULL;
}
