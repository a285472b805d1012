/* SPDX-License-Identifier: MIT */
/*
 * The tick: rings, new connections, a share of all connections; once a second, the rest.
 */
#include "poller.h"
#include "clients.h"
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#define SECOND         UINT64_C(1000000000)
#define TICKS_A_SECOND (SECOND / SAMPLER_TICK_NS)
#define NEW_AFTER_NS   (SECOND / 4)
#define NEW_AT_ONCE    2048u
#define SPACES_MAX     256u
#define DUMP_WORTH     512u /* below so many, lookups cost nothing */
#define DUMP_SHARE     45u  /* percent of a namespace's sockets */
#define MEASURE_EVERY  16u  /* intervals between two dumps that only count the sockets */
/* A missing connection is lost after this; sooner where the kernel is known to have lost ends. */
#define LOST_AFTER   (30 * SECOND)
#define LOST_OVERRUN (2 * SECOND)

/* Connections that are to be looked at for the first time, oldest first. */
struct new_one {
    uint64_t netns;
    uint64_t cookie;
    uint64_t when; /* CLOCK_MONOTONIC */
};

struct joined {
    struct space *space;
    size_t programs;
    bool by_dump;
    unsigned intervals; /* since it was measured */
};

struct sampler {
    struct helper *helper;
    struct loop_source *timer;
    struct joined spaces[SPACES_MAX];
    size_t space_count;
    struct new_one *new; /* a ring */
    size_t new_size;     /* a power of two */
    size_t new_first;
    size_t new_count;
    uint64_t cursor; /* of the walk that samples */
    uint64_t ticks;
    uint64_t last_dump; /* tick */
    size_t missing;     /* connections, about */
};

/* --- namespaces ----------------------------------------------------------------------------- */

static struct joined *find_space(struct sampler *sampler, uint64_t netns, uid_t uid, bool blind)
{
    for (size_t i = 0; i < sampler->space_count; i++) {
        struct joined *joined = &sampler->spaces[i];

        if (space_netns(joined->space) == netns && !space_is_dead(joined->space) &&
            space_is_blind(joined->space) == blind &&
            (space_is_own(joined->space) || space_uid(joined->space) == uid))
            return joined;
    }
    return NULL;
}

static struct joined *add_space(struct sampler *sampler, int fd, uint64_t netns, uid_t uid,
                                bool own)
{
    struct joined *joined = &sampler->spaces[sampler->space_count];
    struct space *space;

    if (sampler->space_count == SPACES_MAX) {
        helper_log(LOG_WARNING, "more than %u network namespaces are more than is watched",
                   SPACES_MAX);
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    space = space_new(sampler->helper, fd, netns, uid, own);
    if (!space)
        return NULL;
    *joined = (struct joined){.space = space};
    sampler->space_count++;
    sampler->helper->namespaces = sampler->space_count;
    return joined;
}

struct space *sampler_join(struct sampler *sampler, int fd, uint64_t netns, uid_t uid)
{
    struct joined *joined = find_space(sampler, netns, uid, false);

    if (joined && fd >= 0)
        (void)close(fd);
    if (!joined && fd < 0)
        joined = find_space(sampler, netns, uid, true);
    if (!joined)
        joined = add_space(sampler, fd, netns, uid, false);
    if (!joined)
        return NULL;
    joined->programs++;
    return joined->space;
}

void sampler_leave(struct sampler *sampler, struct space *space)
{
    for (size_t i = 0; i < sampler->space_count; i++) {
        struct joined *joined = &sampler->spaces[i];

        if (joined->space != space)
            continue;
        if (--joined->programs == 0 && !space_is_own(space)) {
            space_free(space);
            *joined = sampler->spaces[--sampler->space_count];
            sampler->helper->namespaces = sampler->space_count;
        }
        return;
    }
}

/* --- new connections ------------------------------------------------------------------------ */

static bool grow_new(struct sampler *sampler)
{
    size_t size = sampler->new_size ? sampler->new_size * 2 : 1024;
    struct new_one *more = calloc(size, sizeof *more);

    if (!more)
        return false;
    for (size_t i = 0; i < sampler->new_count; i++)
        more[i] = sampler->new[(sampler->new_first + i) & (sampler->new_size - 1)];
    free(sampler->new);
    sampler->new = more;
    sampler->new_size = size;
    sampler->new_first = 0;
    return true;
}

bool sampler_open(struct sampler *sampler, const struct connection_start *start)
{
    const struct tracker *tracker = start->owner;
    uint64_t dropped =
        sampler->helper->dropped[DROP_LIMIT] + sampler->helper->dropped[DROP_FOREIGN];

    if (!space_open(tracker->space, start))
        return dropped ==
               sampler->helper->dropped[DROP_LIMIT] + sampler->helper->dropped[DROP_FOREIGN];
    /* Without memory it is only looked at later. */
    if (sampler->new_count < sampler->new_size || grow_new(sampler)) {
        size_t at = (sampler->new_first + sampler->new_count++) & (sampler->new_size - 1);

        sampler->new[at] = (struct new_one){start->netns, start->cookie, now_monotonic()};
    }
    return true;
}

static void look(const struct connection *connection)
{
    const struct tracker *tracker = connection->owner;

    space_look(tracker->space, connection);
}

/* Those that are still there after a phase; the others have their final. */
static void look_at_new(struct sampler *sampler, uint64_t now)
{
    unsigned looked = 0;
    bool listeners = false;

    while (sampler->new_count > 0 && looked < NEW_AT_ONCE) {
        struct new_one *first = &sampler->new[sampler->new_first];
        const struct connection *connection;

        if (now - first->when < NEW_AFTER_NS)
            break;
        connection = connections_find(sampler->helper->connections, first->netns, first->cookie);
        sampler->new_first = (sampler->new_first + 1) & (sampler->new_size - 1);
        sampler->new_count--;
        if (!connection || connection->data != DATA_NONE)
            continue;
        looked++;
        listeners |= connection->role == ROLE_LISTEN;
        look(connection);
    }
    if (listeners)
        for (size_t i = 0; i < sampler->space_count; i++)
            space_dump(sampler->spaces[i].space, false);
}

/* --- all connections ------------------------------------------------------------------------ */

static uint64_t interval_ticks(const struct sampler *sampler)
{
    return sampler->helper->config.interval * TICKS_A_SECOND;
}

static bool is_by_dump(const struct sampler *sampler, const struct space *space)
{
    for (size_t i = 0; i < sampler->space_count; i++)
        if (sampler->spaces[i].space == space)
            return sampler->spaces[i].by_dump;
    return false;
}

/* This tick's share. */
static void look_at_share(struct sampler *sampler)
{
    size_t places = connections_places(sampler->helper->connections);
    size_t share = places / interval_ticks(sampler) + 1;
    struct connection *connection;

    if (sampler->cursor >= places)
        sampler->cursor = 0;
    while (
        (connection = connections_walk(sampler->helper->connections, &sampler->cursor, &share))) {
        const struct tracker *tracker = connection->owner;

        /* What a dump did not meet is looked for by name. */
        if (connection->data == DATA_NONE || connection->missing_since ||
            !is_by_dump(sampler, tracker->space))
            look(connection);
    }
}

/* Once an interval: dump where it is worth it. */
static void choose(struct joined *joined)
{
    size_t tracked = space_counts(joined->space).tracked;
    bool measure = false;

    if (tracked >= DUMP_WORTH)
        measure = joined->intervals++ % MEASURE_EVERY == 0;
    else
        joined->intervals = 0;
    joined->by_dump = tracked >= DUMP_WORTH &&
                      tracked * 100 > space_sockets(joined->space) * DUMP_SHARE &&
                      space_sockets(joined->space) > 0;
    space_dump(joined->space, joined->by_dump || measure);
}

static void find_lost(struct sampler *sampler, uint64_t now)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;

    if (sampler->missing == 0)
        return;
    sampler->missing = 0;
    while ((connection = connections_walk(sampler->helper->connections, &cursor, &budget))) {
        const struct tracker *tracker = connection->owner;
        uint64_t since = connection->missing_since;
        bool overrun = space_last_overrun(tracker->space) >= connection->opened;

        if (since == 0)
            continue;
        if (now - since > (overrun ? LOST_OVERRUN : LOST_AFTER) || space_is_dead(tracker->space))
            space_lost(sampler->helper, connection);
        else
            sampler->missing++;
    }
}

void sampler_misses(struct sampler *sampler)
{
    sampler->missing++;
}

static void each_second(struct sampler *sampler)
{
    bool dump = sampler->ticks - sampler->last_dump >= interval_ticks(sampler);

    for (size_t i = 0; i < sampler->space_count; i++) {
        struct joined *joined = &sampler->spaces[i];

        sampler->helper->dropped[DROP_OVERRUN] += space_count_overruns(joined->space);
        if (dump)
            choose(joined);
        else if (space_wants_dump(joined->space))
            space_dump(joined->space, false);
    }
    if (dump)
        sampler->last_dump = sampler->ticks;
    find_lost(sampler, now_real());
    registry_each_second(sampler->helper->registry);
}

void sampler_take_records(struct sampler *sampler)
{
    registry_read(sampler->helper->registry);
}

/* Returns whether all that the kernel has told was taken. */
static bool catch_up(struct sampler *sampler)
{
    bool all = true;

    for (size_t i = 0; i < sampler->space_count; i++)
        all &= space_catch_up(sampler->spaces[i].space);
    return all;
}

static void tick(void *context)
{
    struct sampler *sampler = context;
    uint64_t begin = now_monotonic();

    registry_read(sampler->helper->registry);
    if (catch_up(sampler)) {
        look_at_new(sampler, begin);
        look_at_share(sampler);
    }
    for (size_t i = 0; i < sampler->space_count; i++)
        space_flush(sampler->spaces[i].space);
    if (++sampler->ticks % TICKS_A_SECOND == 0)
        each_second(sampler);
    sampler->helper->sampling_time += now_monotonic() - begin;
}

/* The helper's own namespace is watched all the time, so that a program's first connection is not
 * over before it is; with a socket that no program can spoil. */
static bool join_own(struct sampler *sampler)
{
    int fd = diag_socket();
    uint64_t netns;

    if (fd < 0 || diag_check(fd, &netns) != NULL) {
        helper_log(LOG_WARNING,
                   "sock_diag cannot be had (%s): only what programs hand over is known of their "
                   "connections",
                   strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return true;
    }
    return add_space(sampler, fd, netns, 0, true) != NULL;
}

struct sampler *sampler_new(struct helper *helper)
{
    struct sampler *sampler = calloc(1, sizeof *sampler);

    if (!sampler)
        return NULL;
    sampler->helper = helper;
    sampler->timer = loop_timer(helper->loop, SAMPLER_TICK_NS, tick, sampler);
    if (sampler->timer && join_own(sampler))
        return sampler;
    sampler_free(sampler);
    return NULL;
}

void sampler_free(struct sampler *sampler)
{
    if (!sampler)
        return;
    loop_remove(sampler->helper->loop, sampler->timer);
    for (size_t i = 0; i < sampler->space_count; i++)
        space_free(sampler->spaces[i].space);
    free(sampler->new);
    free(sampler);
}
