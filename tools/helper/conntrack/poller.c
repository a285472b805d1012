/* SPDX-License-Identifier: MIT */
#include "poller.h"
#include "clock.h"
#include "log.h"
#include "policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#define TICKS_A_SECOND (SECOND / POLLER_TICK_NS)
#define NEW_AFTER_NS   (SECOND / 4)
#define NEW_AT_ONCE    2048u
#define MONITORS_MORE  16u
#define READY_AT_ONCE  64
/* Assumed maximum of ends per second in one namespace. */
#define ENDS_RATE     20000u
#define DUMP_WORTH    512u /* with fewer connections, lookups are cheap */
#define DUMP_SHARE    45u  /* percent of a namespace's sockets */
#define MEASURE_EVERY 16u  /* intervals between two dumps that only count sockets */
/* A missing connection is lost after this time; sooner if the kernel has lost events. */
#define LOST_AFTER   (30 * SECOND)
#define LOST_OVERRUN (2 * SECOND)

/* Connections without a sample, oldest first. */
struct unpolled {
    uint64_t netns;
    uint64_t cookie;
    uint64_t when; /* CLOCK_MONOTONIC */
};

struct polled_netns {
    struct netns_monitor *monitor;
    size_t programs;
    bool by_dump;
    unsigned intervals; /* since the last count */
};

struct poller {
    const struct conntrack *conntrack;
    const unsigned *interval;
    int epoll;                     /* the monitors' descriptors */
    struct polled_netns *monitors; /* monitor_count entries in use */
    size_t monitor_count, monitor_room;
    struct unpolled *unpolled; /* a ring */
    size_t unpolled_size;      /* a power of two */
    size_t unpolled_first;
    size_t unpolled_count;
    uint64_t cursor; /* of the walk that samples */
    uint64_t ticks;
    uint64_t last_dump; /* tick */
    size_t missing;     /* number of missing connections, approximately */
};

/* Namespaces */

static struct polled_netns *find_monitor(struct poller *poller, uint64_t netns, uid_t uid,
                                         bool blind)
{
    for (size_t i = 0; i < poller->monitor_count; i++) {
        struct polled_netns *polled = &poller->monitors[i];
        if (netns_monitor_netns(polled->monitor) == netns &&
            !netns_monitor_is_dead(polled->monitor) &&
            netns_monitor_is_blind(polled->monitor) == blind &&
            (netns_monitor_is_own(polled->monitor) || netns_monitor_uid(polled->monitor) == uid))
            return polled;
    }
    return NULL;
}

static void count_namespaces(const struct poller *poller)
{
    poller->conntrack->counts->namespaces.used = poller->monitor_count;
}

static int watch_monitor(const struct poller *poller, struct netns_monitor *monitor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = monitor};
    int fd = netns_monitor_fd(monitor);
    return fd < 0 ? 0 : epoll_ctl(poller->epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Removes the descriptor explicitly: the program may keep a duplicate of the socket, and then
 * closing ours would not remove it from epoll. */
static void stop_watching(const struct poller *poller, const struct netns_monitor *monitor)
{
    int fd = netns_monitor_fd(monitor);
    if (fd >= 0)
        (void)epoll_ctl(poller->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* Whether one more namespace can be watched, also for this user. */
static bool make_netns_room(struct poller *poller, const struct user_account *user)
{
    struct polled_netns *more;
    if (user != NULL &&
        !fair_share_allows(&poller->conntrack->counts->namespaces, user->uid, user->namespaces)) {
        helper_log_user(LOG_WARNING, user->uid,
                        "user %u has too many network namespaces: no more are watched",
                        (unsigned)user->uid);
        return false;
    }
    if (poller->monitor_count < poller->monitor_room)
        return true;
    more = reallocarray(poller->monitors, poller->monitor_room + MONITORS_MORE, sizeof *more);
    if (more == NULL)
        return false;
    poller->monitors = more;
    poller->monitor_room += MONITORS_MORE;
    return true;
}

/* `user` NULL: the helper's own namespace. */
static struct polled_netns *add_monitor(struct poller *poller, int fd, uint64_t netns,
                                        struct user_account *user)
{
    struct netns_monitor *monitor;
    if (!make_netns_room(poller, user)) {
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    monitor = netns_monitor_new(poller->conntrack, fd, netns, user);
    if (monitor == NULL)
        return NULL;
    if (watch_monitor(poller, monitor) != 0) {
        netns_monitor_free(monitor);
        return NULL;
    }
    if (user != NULL)
        user->namespaces++;
    poller->monitors[poller->monitor_count++] = (struct polled_netns){.monitor = monitor};
    count_namespaces(poller);
    return &poller->monitors[poller->monitor_count - 1];
}

int poller_watch_own(struct poller *poller, int fd, uint64_t netns)
{
    return add_monitor(poller, fd, netns, NULL) != NULL ? 0 : -1;
}

struct netns_monitor *poller_join(struct poller *poller, int fd, uint64_t netns,
                                  struct user_account *user)
{
    struct polled_netns *polled = find_monitor(poller, netns, user->uid, false);
    if (polled != NULL && fd >= 0)
        (void)close(fd);
    if (polled == NULL && fd < 0)
        polled = find_monitor(poller, netns, user->uid, true);
    if (polled == NULL)
        polled = add_monitor(poller, fd, netns, user);
    if (polled == NULL)
        return NULL;
    polled->programs++;
    return polled->monitor;
}

static struct polled_netns *polled_of(struct poller *poller, const struct netns_monitor *monitor)
{
    for (size_t i = 0; i < poller->monitor_count; i++)
        if (poller->monitors[i].monitor == monitor)
            return &poller->monitors[i];
    return NULL;
}

void poller_leave(struct poller *poller, struct netns_monitor *monitor)
{
    struct polled_netns *polled = polled_of(poller, monitor);
    if (polled == NULL || --polled->programs > 0 || netns_monitor_is_own(monitor))
        return;
    stop_watching(poller, monitor);
    netns_monitor_user(monitor)->namespaces--;
    netns_monitor_free(monitor);
    *polled = poller->monitors[--poller->monitor_count];
    count_namespaces(poller);
}

/* New connections */

static bool grow_unpolled(struct poller *poller)
{
    size_t size = poller->unpolled_size ? poller->unpolled_size * 2 : 1024;
    struct unpolled *more = calloc(size, sizeof *more);
    if (more == NULL)
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
    bool refused;
    if (netns_monitor_open(owner->monitor, start, &refused) == NULL)
        return !refused;
    /* without memory it is sampled later */
    if (poller->unpolled_count < poller->unpolled_size || grow_unpolled(poller)) {
        size_t at =
            (poller->unpolled_first + poller->unpolled_count++) & (poller->unpolled_size - 1);
        poller->unpolled[at] =
            (struct unpolled){start->netns, start->cookie, poller->conntrack->now()};
    }
    return true;
}

static void request_look(const struct connection *connection)
{
    const struct connection_owner *owner = connection->owner;
    netns_monitor_look(owner->monitor, connection);
}

/* Samples new connections that still exist after POLLER_TICK_NS; the others have their final
 * figures. */
static void look_at_new(struct poller *poller, uint64_t now)
{
    unsigned looked = 0;
    bool listeners = false;
    while (poller->unpolled_count > 0 && looked < NEW_AT_ONCE) {
        struct unpolled *first = &poller->unpolled[poller->unpolled_first];
        const struct connection *connection;
        if (now - first->when < NEW_AFTER_NS)
            break;
        connection = connections_find(poller->conntrack->connections, first->netns, first->cookie);
        poller->unpolled_first = (poller->unpolled_first + 1) & (poller->unpolled_size - 1);
        poller->unpolled_count--;
        if (connection == NULL || connection->data != DATA_NONE)
            continue;
        looked++;
        listeners |= connection->role == ROLE_LISTEN;
        request_look(connection);
    }
    if (listeners)
        for (size_t i = 0; i < poller->monitor_count; i++)
            netns_monitor_dump(poller->monitors[i].monitor, false);
}

/* All connections */

static uint64_t interval_ticks(const struct poller *poller)
{
    return *poller->interval * TICKS_A_SECOND;
}

static bool is_by_dump(struct poller *poller, const struct netns_monitor *monitor)
{
    const struct polled_netns *polled = polled_of(poller, monitor);
    return polled != NULL && polled->by_dump;
}

/* Samples the connections of this tick. */
static void look_at_share(struct poller *poller)
{
    size_t places = connections_places(poller->conntrack->connections);
    size_t share = places / interval_ticks(poller) + 1;
    struct connection *connection;
    if (poller->cursor >= places)
        poller->cursor = 0;
    while ((connection = connections_walk(poller->conntrack->connections, &poller->cursor,
                                          &share)) != NULL) {
        const struct connection_owner *owner = connection->owner;
        /* connections that a dump did not list are looked up */
        if (connection->data == DATA_NONE || connection->missing_since ||
            !is_by_dump(poller, owner->monitor))
            request_look(connection);
    }
}

/* Once per interval: begin a dump if it is cheaper. */
static void choose_way(struct polled_netns *polled)
{
    const struct netns_monitor_counts *counts = netns_monitor_counts(polled->monitor);
    size_t tracked = counts->tracked - counts->datagrams;
    bool measure = false;
    if (tracked >= DUMP_WORTH)
        measure = polled->intervals++ % MEASURE_EVERY == 0;
    else
        polled->intervals = 0;
    polled->by_dump = tracked >= DUMP_WORTH &&
                      tracked * 100 > netns_monitor_sockets(polled->monitor) * DUMP_SHARE &&
                      netns_monitor_sockets(polled->monitor) > 0;
    netns_monitor_dump(polled->monitor, polled->by_dump || measure);
}

/* True if a missing connection is to be given up. */
static bool is_lost(const struct connection *connection, uint64_t now)
{
    const struct connection_owner *owner = connection->owner;
    bool overrun = netns_monitor_last_overrun(owner->monitor) >= connection->opened;
    return now - connection->missing_since > (overrun ? LOST_OVERRUN : LOST_AFTER) ||
           netns_monitor_is_dead(owner->monitor);
}

static void find_lost(struct poller *poller, uint64_t now)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;
    for (size_t i = 0; i < poller->monitor_count; i++)
        poller->missing += netns_monitor_take_missing(poller->monitors[i].monitor);
    if (poller->missing == 0)
        return;
    poller->missing = 0;
    while ((connection = connections_walk(poller->conntrack->connections, &cursor, &budget)) !=
           NULL) {
        if (connection->missing_since == 0)
            continue;
        if (is_lost(connection, now))
            netns_monitor_lost(poller->conntrack, connection);
        else
            poller->missing++;
    }
}

void poller_each_second(struct poller *poller)
{
    bool dump = poller->ticks - poller->last_dump >= interval_ticks(poller);
    for (size_t i = 0; i < poller->monitor_count; i++) {
        struct polled_netns *polled = &poller->monitors[i];
        poller->conntrack->counts->dropped[DROP_OVERRUN] +=
            netns_monitor_count_overruns(polled->monitor);
        if (dump)
            choose_way(polled);
        else if (netns_monitor_wants_dump(polled->monitor))
            netns_monitor_dump(polled->monitor, false);
    }
    if (dump)
        poller->last_dump = poller->ticks;
    find_lost(poller, poller->conntrack->now());
}

/* Timing */

int poller_fd(const struct poller *poller)
{
    return poller->epoll;
}

/* Half of the smallest buffer's room. */
uint64_t poller_patience(const struct poller *poller)
{
    const uint64_t most = POLLER_TICK_NS * ENDS_RATE / SECOND * 2;
    uint64_t room = most;
    for (size_t i = 0; i < poller->monitor_count; i++) {
        size_t own = netns_monitor_room(poller->monitors[i].monitor);
        room = own < room ? own : room;
    }
    return room * SECOND / ENDS_RATE / 2;
}

bool poller_is_dumping(const struct poller *poller)
{
    for (size_t i = 0; i < poller->monitor_count; i++)
        if (netns_monitor_is_dumping(poller->monitors[i].monitor))
            return true;
    return false;
}

bool poller_read(struct poller *poller)
{
    struct epoll_event events[READY_AT_ONCE];
    int count = epoll_wait(poller->epoll, events, READY_AT_ONCE, 0);
    bool more = count == READY_AT_ONCE;
    for (int i = 0; i < count; i++) {
        struct netns_monitor *monitor = events[i].data.ptr;
        more |= netns_monitor_read(monitor);
        if (netns_monitor_is_dead(monitor))
            stop_watching(poller, monitor);
    }
    return more;
}

void poller_look(struct poller *poller)
{
    look_at_new(poller, poller->conntrack->now());
    look_at_share(poller);
    for (size_t i = 0; i < poller->monitor_count; i++)
        netns_monitor_flush(poller->monitors[i].monitor);
    poller->ticks++;
}

struct poller *poller_new(const struct conntrack *conntrack, const unsigned *interval)
{
    struct poller *poller = calloc(1, sizeof *poller);
    if (poller == NULL)
        return NULL;
    poller->conntrack = conntrack;
    poller->interval = interval;
    poller->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (poller->epoll >= 0)
        return poller;
    free(poller);
    return NULL;
}

void poller_free(struct poller *poller)
{
    if (poller == NULL)
        return;
    for (size_t i = 0; i < poller->monitor_count; i++)
        netns_monitor_free(poller->monitors[i].monitor);
    (void)close(poller->epoll);
    free(poller->monitors);
    free(poller->unpolled);
    free(poller);
}
