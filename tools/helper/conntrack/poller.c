/* SPDX-License-Identifier: MIT */
/*
 * The tick: rings, new connections, a share of all connections; once a second, the rest.
 */
#include "poller.h"
#include "client_table.h"
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#define SECOND         UINT64_C(1000000000)
#define TICKS_A_SECOND (SECOND / POLLER_TICK_NS)
#define NEW_AFTER_NS   (SECOND / 4)
#define NEW_AT_ONCE    2048u
#define MONITORS_MAX   256u
#define DUMP_WORTH     512u /* below so many, lookups cost nothing */
#define DUMP_SHARE     45u  /* percent of a namespace's sockets */
#define MEASURE_EVERY  16u  /* intervals between two dumps that only count the sockets */
/* A missing connection is lost after this; sooner where the kernel is known to have lost ends. */
#define LOST_AFTER   (30 * SECOND)
#define LOST_OVERRUN (2 * SECOND)

/* Connections that are to be looked at for the first time, oldest first. */
struct unpolled {
    uint64_t netns;
    uint64_t cookie;
    uint64_t when; /* CLOCK_MONOTONIC */
};

struct polled_netns {
    struct netns_monitor *monitor;
    size_t programs;
    bool by_dump;
    unsigned intervals; /* since it was measured */
};

struct poller {
    struct helper *helper;
    struct loop_source *timer;
    struct polled_netns monitors[MONITORS_MAX];
    size_t monitor_count;
    struct unpolled *unpolled; /* a ring */
    size_t unpolled_size;      /* a power of two */
    size_t unpolled_first;
    size_t unpolled_count;
    uint64_t cursor; /* of the walk that samples */
    uint64_t ticks;
    uint64_t last_dump; /* tick */
    size_t missing;     /* connections, about */
};

/* --- namespaces ----------------------------------------------------------------------------- */

static struct polled_netns *find_monitor(struct poller *poller, uint64_t netns, uid_t uid,
                                         bool blind)
{
    for (size_t i = 0; i < poller->monitor_count; i++) {
        struct polled_netns *joined = &poller->monitors[i];

        if (netns_monitor_netns(joined->monitor) == netns &&
            !netns_monitor_is_dead(joined->monitor) &&
            netns_monitor_is_blind(joined->monitor) == blind &&
            (netns_monitor_is_own(joined->monitor) || netns_monitor_uid(joined->monitor) == uid))
            return joined;
    }
    return NULL;
}

static struct polled_netns *add_monitor(struct poller *poller, int fd, uint64_t netns, uid_t uid,
                                        bool own)
{
    struct polled_netns *joined = &poller->monitors[poller->monitor_count];
    struct netns_monitor *monitor;

    if (poller->monitor_count == MONITORS_MAX) {
        helper_log(LOG_WARNING, "more than %u network namespaces are more than is watched",
                   MONITORS_MAX);
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    monitor = netns_monitor_new(poller->helper, fd, netns, uid, own);
    if (!monitor)
        return NULL;
    *joined = (struct polled_netns){.monitor = monitor};
    poller->monitor_count++;
    poller->helper->namespaces = poller->monitor_count;
    return joined;
}

struct netns_monitor *poller_join(struct poller *poller, int fd, uint64_t netns, uid_t uid)
{
    struct polled_netns *joined = find_monitor(poller, netns, uid, false);

    if (joined && fd >= 0)
        (void)close(fd);
    if (!joined && fd < 0)
        joined = find_monitor(poller, netns, uid, true);
    if (!joined)
        joined = add_monitor(poller, fd, netns, uid, false);
    if (!joined)
        return NULL;
    joined->programs++;
    return joined->monitor;
}

void poller_leave(struct poller *poller, struct netns_monitor *monitor)
{
    for (size_t i = 0; i < poller->monitor_count; i++) {
        struct polled_netns *joined = &poller->monitors[i];

        if (joined->monitor != monitor)
            continue;
        if (--joined->programs == 0 && !netns_monitor_is_own(monitor)) {
            netns_monitor_free(monitor);
            *joined = poller->monitors[--poller->monitor_count];
            poller->helper->namespaces = poller->monitor_count;
        }
        return;
    }
}

/* --- new connections ------------------------------------------------------------------------ */

static bool grow_unpolled(struct poller *poller)
{
    size_t size = poller->unpolled_size ? poller->unpolled_size * 2 : 1024;
    struct unpolled *more = calloc(size, sizeof *more);

    if (!more)
        return false;
    for (size_t i = 0; i < poller->unpolled_count; i++)
        more[i] = poller->unpolled[(poller->unpolled_first + i) & (poller->unpolled_size - 1)];
    free(poller->unpolled);
    poller->unpolled = more;
    poller->unpolled_size = size;
    poller->unpolled_first = 0;
    return true;
}

bool poller_open(struct poller *poller, const struct connection_start *start)
{
    const struct connection_owner *owner = start->owner;
    uint64_t dropped = poller->helper->dropped[DROP_LIMIT] + poller->helper->dropped[DROP_FOREIGN];

    if (!netns_monitor_open(owner->monitor, start))
        return dropped ==
               poller->helper->dropped[DROP_LIMIT] + poller->helper->dropped[DROP_FOREIGN];
    /* Without memory it is only looked at later. */
    if (poller->unpolled_count < poller->unpolled_size || grow_unpolled(poller)) {
        size_t at =
            (poller->unpolled_first + poller->unpolled_count++) & (poller->unpolled_size - 1);

        poller->unpolled[at] = (struct unpolled){start->netns, start->cookie, now_monotonic()};
    }
    return true;
}

static void look(const struct connection *connection)
{
    const struct connection_owner *owner = connection->owner;

    netns_monitor_look(owner->monitor, connection);
}

/* Those that are still there after a phase; the others have their final. */
static void look_at_new(struct poller *poller, uint64_t now)
{
    unsigned looked = 0;
    bool listeners = false;

    while (poller->unpolled_count > 0 && looked < NEW_AT_ONCE) {
        struct unpolled *first = &poller->unpolled[poller->unpolled_first];
        const struct connection *connection;

        if (now - first->when < NEW_AFTER_NS)
            break;
        connection = connections_find(poller->helper->connections, first->netns, first->cookie);
        poller->unpolled_first = (poller->unpolled_first + 1) & (poller->unpolled_size - 1);
        poller->unpolled_count--;
        if (!connection || connection->data != DATA_NONE)
            continue;
        looked++;
        listeners |= connection->role == ROLE_LISTEN;
        look(connection);
    }
    if (listeners)
        for (size_t i = 0; i < poller->monitor_count; i++)
            netns_monitor_dump(poller->monitors[i].monitor, false);
}

/* --- all connections ------------------------------------------------------------------------ */

static uint64_t interval_ticks(const struct poller *poller)
{
    return poller->helper->config.interval * TICKS_A_SECOND;
}

static bool is_by_dump(const struct poller *poller, const struct netns_monitor *monitor)
{
    for (size_t i = 0; i < poller->monitor_count; i++)
        if (poller->monitors[i].monitor == monitor)
            return poller->monitors[i].by_dump;
    return false;
}

/* This tick's share. */
static void look_at_share(struct poller *poller)
{
    size_t places = connections_places(poller->helper->connections);
    size_t share = places / interval_ticks(poller) + 1;
    struct connection *connection;

    if (poller->cursor >= places)
        poller->cursor = 0;
    while ((connection = connections_walk(poller->helper->connections, &poller->cursor, &share))) {
        const struct connection_owner *owner = connection->owner;

        /* What a dump did not meet is looked for by name. */
        if (connection->data == DATA_NONE || connection->missing_since ||
            !is_by_dump(poller, owner->monitor))
            look(connection);
    }
}

/* Once an interval: dump where it is worth it. */
static void choose(struct polled_netns *joined)
{
    size_t tracked = netns_monitor_counts(joined->monitor).tracked;
    bool measure = false;

    if (tracked >= DUMP_WORTH)
        measure = joined->intervals++ % MEASURE_EVERY == 0;
    else
        joined->intervals = 0;
    joined->by_dump = tracked >= DUMP_WORTH &&
                      tracked * 100 > netns_monitor_sockets(joined->monitor) * DUMP_SHARE &&
                      netns_monitor_sockets(joined->monitor) > 0;
    netns_monitor_dump(joined->monitor, joined->by_dump || measure);
}

static void find_lost(struct poller *poller, uint64_t now)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;

    if (poller->missing == 0)
        return;
    poller->missing = 0;
    while ((connection = connections_walk(poller->helper->connections, &cursor, &budget))) {
        const struct connection_owner *owner = connection->owner;
        uint64_t since = connection->missing_since;
        bool overrun = netns_monitor_last_overrun(owner->monitor) >= connection->opened;

        if (since == 0)
            continue;
        if (now - since > (overrun ? LOST_OVERRUN : LOST_AFTER) ||
            netns_monitor_is_dead(owner->monitor))
            netns_monitor_lost(poller->helper, connection);
        else
            poller->missing++;
    }
}

void poller_misses(struct poller *poller)
{
    poller->missing++;
}

static void each_second(struct poller *poller)
{
    bool dump = poller->ticks - poller->last_dump >= interval_ticks(poller);

    for (size_t i = 0; i < poller->monitor_count; i++) {
        struct polled_netns *joined = &poller->monitors[i];

        poller->helper->dropped[DROP_OVERRUN] += netns_monitor_count_overruns(joined->monitor);
        if (dump)
            choose(joined);
        else if (netns_monitor_wants_dump(joined->monitor))
            netns_monitor_dump(joined->monitor, false);
    }
    if (dump)
        poller->last_dump = poller->ticks;
    find_lost(poller, now_real());
    client_table_each_second(poller->helper->clients);
}

void poller_take_records(struct poller *poller)
{
    client_table_read(poller->helper->clients);
}

/* Returns whether all that the kernel has told was taken. */
static bool catch_up(struct poller *poller)
{
    bool all = true;

    for (size_t i = 0; i < poller->monitor_count; i++)
        all &= netns_monitor_catch_up(poller->monitors[i].monitor);
    return all;
}

static void tick(void *context)
{
    struct poller *poller = context;
    uint64_t begin = now_monotonic();

    client_table_read(poller->helper->clients);
    if (catch_up(poller)) {
        look_at_new(poller, begin);
        look_at_share(poller);
    }
    for (size_t i = 0; i < poller->monitor_count; i++)
        netns_monitor_flush(poller->monitors[i].monitor);
    if (++poller->ticks % TICKS_A_SECOND == 0)
        each_second(poller);
    poller->helper->sampling_time += now_monotonic() - begin;
}

/* The helper's own namespace is watched all the time, so that a program's first connection is not
 * over before it is; with a socket that no program can spoil. */
static bool join_own(struct poller *poller)
{
    int fd = sock_diag_socket();
    uint64_t netns;

    if (fd < 0 || sock_diag_check(fd, &netns) != NULL) {
        helper_log(LOG_WARNING,
                   "sock_diag cannot be had (%s): only what programs hand over is known of their "
                   "connections",
                   strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return true;
    }
    return add_monitor(poller, fd, netns, 0, true) != NULL;
}

struct poller *poller_new(struct helper *helper)
{
    struct poller *poller = calloc(1, sizeof *poller);

    if (!poller)
        return NULL;
    poller->helper = helper;
    poller->timer = loop_timer(helper->loop, POLLER_TICK_NS, tick, poller);
    if (poller->timer && join_own(poller))
        return poller;
    poller_free(poller);
    return NULL;
}

void poller_free(struct poller *poller)
{
    if (!poller)
        return;
    loop_remove(poller->helper->loop, poller->timer);
    for (size_t i = 0; i < poller->monitor_count; i++)
        netns_monitor_free(poller->monitors[i].monitor);
    free(poller->unpolled);
    free(poller);
}
