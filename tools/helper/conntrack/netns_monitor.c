/* SPDX-License-Identifier: MIT */
/*
 * Enters what sock_diag reports into the model.
 */
#include "netns_monitor.h"
#include "clock.h"
#include "compat.h"
#include "log.h"
#include "multipath.h"
#include "policy.h"
#include "recent_closes.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#define STATE_LISTEN 10u
#define ALL_STATES   0xfffu
#define READ_AT_ONCE 256u
#define DUMP_KINDS   8u
/* An MPTCP socket has ended when so many consecutive dumps did not list it: one dump alone may miss
 * it while the kernel's table changes. */
#define MISSED_MAX    2u
#define SEEKING_SHARE 20u
#define PLACE_BYTES   64u /* approximate bytes of a connection in hash tables */

struct dump_kind {
    uint8_t family;
    uint16_t protocol;
    uint32_t states;
};

struct netns_monitor {
    const struct conntrack *conntrack;
    struct sock_diag *diag; /* NULL: blind monitor */
    uint64_t netns;
    struct user_account *user; /* NULL: the helper's own namespace */
    size_t memory;             /* bytes charged for this monitor */
    bool dead;
    bool behind; /* the kernel had more messages at the last read */
    struct netns_monitor_counts counts;
    struct recent_closes *recent_closes;
    struct multipath *multipath;
    bool multipath_changes; /* an MPTCP socket seems to have ended: dump soon */
    bool new_datagrams;     /* there are UDP sockets without a sample: dump soon */
    bool watches_udp;       /* the kernel reports ends of UDP sockets */
    bool seeking;           /* the current dump is for `seeks` */
    bool seeks;             /* a socket may be bound to an interface: search all soon */
    struct sock_diag_target batch[SOCK_DIAG_BATCH];
    unsigned batched;
    struct dump_kind plan[DUMP_KINDS]; /* dumps to be made, last one first */
    unsigned planned;
    bool dumps;            /* the plan is in progress */
    bool dumps_all;        /* it includes all connections */
    uint64_t dumps_since;  /* when the plan began */
    uint64_t sought_until; /* when the last dump for `seeks` ended, */
    uint64_t seeking_took; /* and its duration */
    size_t sockets_so_far; /* sockets that the plan has listed so far */
    size_t sockets;
    uint64_t last_overrun;
};

uint64_t netns_monitor_netns(const struct netns_monitor *monitor)
{
    return monitor->netns;
}

uid_t netns_monitor_uid(const struct netns_monitor *monitor)
{
    return monitor->user != NULL ? monitor->user->uid : 0;
}

struct user_account *netns_monitor_user(const struct netns_monitor *monitor)
{
    return monitor->user;
}

bool netns_monitor_is_own(const struct netns_monitor *monitor)
{
    return monitor->user == NULL;
}

const struct netns_monitor_counts *netns_monitor_counts(const struct netns_monitor *monitor)
{
    return &monitor->counts;
}

bool netns_monitor_is_dead(const struct netns_monitor *monitor)
{
    return monitor->dead;
}

bool netns_monitor_is_blind(const struct netns_monitor *monitor)
{
    return monitor->diag == NULL;
}

size_t netns_monitor_sockets(const struct netns_monitor *monitor)
{
    return monitor->sockets;
}

int netns_monitor_fd(const struct netns_monitor *monitor)
{
    return monitor->diag != NULL ? monitor->conntrack->diag->fd(monitor->diag) : -1;
}

bool netns_monitor_is_dumping(const struct netns_monitor *monitor)
{
    return monitor->dumps;
}

size_t netns_monitor_room(const struct netns_monitor *monitor)
{
    return monitor->diag != NULL && !monitor->dead ? monitor->conntrack->diag->room(monitor->diag)
                                                   : SIZE_MAX;
}

size_t netns_monitor_take_missing(struct netns_monitor *monitor)
{
    size_t missing = monitor->counts.missing;
    monitor->counts.missing = 0;
    return missing;
}

uint64_t netns_monitor_last_overrun(const struct netns_monitor *monitor)
{
    return monitor->last_overrun;
}

uint64_t netns_monitor_count_overruns(struct netns_monitor *monitor)
{
    uint64_t lost = monitor->diag != NULL ? monitor->conntrack->diag->overruns(monitor->diag) : 0;
    if (lost > 0)
        monitor->last_overrun = monitor->conntrack->now();
    return lost;
}

/* Memory */

bool user_account_may_grow(const struct conntrack *conntrack, const struct user_account *user)
{
    return fair_share_allows(&conntrack->counts->memory, user->uid, user->memory);
}

/* Sets the number of bytes charged for this monitor. */
static void count_monitor_memory(struct netns_monitor *monitor, size_t memory)
{
    struct helper_counts *counts = monitor->conntrack->counts;
    counts->memory_beside += memory - monitor->memory;
    if (monitor->user != NULL)
        fair_share_change(&counts->memory, &monitor->user->memory, monitor->memory, memory);
    monitor->memory = memory;
}

static void keep_end(struct netns_monitor *monitor, const struct sock_diag_answer *answer,
                     uint64_t when, bool known)
{
    if (monitor->user == NULL || user_account_may_grow(monitor->conntrack, monitor->user))
        recent_closes_grow(monitor->recent_closes, when);
    recent_closes_add(monitor->recent_closes, answer, when, known);
    count_monitor_memory(monitor, sizeof *monitor + recent_closes_memory(monitor->recent_closes));
}

/* Size of a connection, with its place in the tables. */
static size_t memory_of_connection(const struct connection *connection)
{
    const struct connection_options *options = connection->options;
    return sizeof *connection + PLACE_BYTES +
           (options != NULL ? sizeof *options + options->length : 0);
}

/* The end of a connection */

static bool is_mptcp(const struct connection *connection)
{
    return connection->protocol == IPPROTO_MPTCP;
}

static bool is_udp(const struct connection *connection)
{
    return connection->role == ROLE_DATAGRAM;
}

/* Counts a connection for its owner: `by` is +1 or -1. */
static void count_connection(const struct conntrack *conntrack, const struct connection *connection,
                             size_t by)
{
    struct connection_owner *owner = connection->owner;
    owner->tracked += by;
    owner->user->connections += by;
    if (by == 1)
        fair_share_change(&conntrack->counts->memory, &owner->user->memory, 0,
                          memory_of_connection(connection));
    else
        fair_share_change(&conntrack->counts->memory, &owner->user->memory,
                          memory_of_connection(connection), 0);
    owner->monitor->counts.tracked += by;
    owner->monitor->counts.listeners += connection->role == ROLE_LISTEN ? by : 0;
    owner->monitor->counts.datagrams += is_udp(connection) ? by : 0;
    owner->monitor->counts.inet6 += connection->flow.family == AF_INET6 ? by : 0;
    if (!is_mptcp(connection))
        return;
    owner->monitor->counts.mptcp += by;
    if (by == 1)
        multipath_add(owner->monitor->multipath, connection);
    else
        multipath_remove(owner->monitor->multipath, connection);
}

static void finish_connection(const struct conntrack *conntrack, struct connection *connection,
                              enum connection_data data, const struct connection_reading *reading)
{
    /* The kernel reported the end of exactly the socket in the record. */
    if (data == DATA_FINAL)
        connections_confirm(conntrack->connections, connection);
    count_connection(conntrack, connection, (size_t)-1);
    connections_close(conntrack->connections, connection, data, reading);
}

void netns_monitor_end(const struct conntrack *conntrack, struct connection *connection,
                       const struct connection_reading *reading)
{
    finish_connection(conntrack, connection, DATA_FINAL, reading);
}

void netns_monitor_lost(const struct conntrack *conntrack, struct connection *connection)
{
    finish_connection(conntrack, connection, DATA_LOST, NULL);
}

void netns_monitor_lose_all(const struct conntrack *conntrack, const struct connection_owner *owner)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;
    while (owner->tracked > 0 &&
           (connection = connections_walk(conntrack->connections, &cursor, &budget)) != NULL) {
        if (connection->owner != owner)
            continue;
        connection->missing_since = conntrack->now();
        netns_monitor_lost(conntrack, connection);
    }
}

/* Rejects a connection whose record names another user's socket. */
static void reject_connection(const struct conntrack *conntrack, struct connection *connection)
{
    struct connection_owner *owner = connection->owner;
    owner->foreign++;
    conntrack->counts->dropped[DROP_FOREIGN]++;
    count_connection(conntrack, connection, (size_t)-1);
    connections_reject(conntrack->connections, connection);
}

/* True if an answer is about the same socket, judged by the ports that both sides know. A reset
 * socket has forgotten its peer. A UDP socket may have other ports than when the kernel confirmed
 * it. */
static bool ports_agree(const struct connection *connection, const struct flow *other)
{
    const struct flow *one = &connection->flow;
    if (is_udp(connection))
        return connection->verified || one->local_port == other->local_port;
    return (one->local_port == other->local_port || one->local_port == 0 ||
            other->local_port == 0) &&
           (one->remote_port == other->remote_port || one->remote_port == 0 ||
            other->remote_port == 0);
}

/* Interfaces */

/* The kernel finds a socket that is bound to an interface only by a lookup for that interface
 * (inet_lookup() in net/ipv4/inet_hashtables.c). Programs do not report the interface, since that
 * would cost each connection a system call. A dump contains it. */
static void want_seek(struct netns_monitor *monitor, struct connection *connection)
{
    if (connection == NULL || connection->sought || connection->ifindex != 0 ||
        is_mptcp(connection) || is_udp(connection))
        return;
    connection->sought = true;
    monitor->seeks = true;
}

/* Searching may take at most one SEEKING_SHARE-th of the time. */
static bool may_seek(const struct netns_monitor *monitor)
{
    return monitor->conntrack->now() - monitor->sought_until >=
           monitor->seeking_took * SEEKING_SHARE;
}

/* Multipath TCP */

/* Closes an MPTCP socket. Its figures are the last ones of its first path, or older ones. */
static void end_multipath(struct netns_monitor *monitor, const struct multipath_socket *socket)
{
    struct connection *connection =
        connections_get(monitor->conntrack->connections, monitor->netns, socket->cookie);
    struct tcp_info_bytes info;
    if (connection == NULL)
        return;
    /* The kernel reports no end of an MPTCP socket, and a short one may never have been sampled. So
     * the record counts as confirmed, in the sums of its own user. */
    connections_confirm(monitor->conntrack->connections, connection);
    connection_info(connection, &info);
    if (socket->has_last_word || connection->role == ROLE_LISTEN)
        finish_connection(monitor->conntrack, connection, DATA_FINAL,
                          &(struct connection_reading){.when = connection->sampled,
                                                       .info = info.bytes,
                                                       .info_length = info.length,
                                                       .unacknowledged = socket->unacknowledged});
    else
        finish_connection(monitor->conntrack, connection, DATA_LOST, NULL);
}

/* A TCP socket without a tracked connection was destroyed: it may have been a path. If the kernel
 * has reset it before, its MPTCP socket is unknown. */
static void path_destroyed(struct netns_monitor *monitor, const struct sock_diag_answer *answer)
{
    struct multipath_socket *socket =
        multipath_find(monitor->multipath, &answer->target.flow, answer->target.cookie);
    struct connection *connection =
        socket != NULL
            ? connections_get(monitor->conntrack->connections, monitor->netns, socket->cookie)
            : NULL;
    if (connection != NULL || answer->target.flow.remote_port == 0)
        monitor->multipath_changes = true;
    if (connection == NULL || answer->info == NULL)
        return;
    socket->has_last_word = true;
    socket->unacknowledged = answer->send_queue;
    connections_sample(monitor->conntrack->connections, connection,
                       &(struct connection_reading){.when = monitor->conntrack->now(),
                                                    .state = answer->state,
                                                    .info = answer->info,
                                                    .info_length = answer->info_length});
}

static void find_missed(void *context, struct multipath_socket *socket)
{
    struct netns_monitor *monitor = context;
    const struct connection *connection =
        connections_find(monitor->conntrack->connections, monitor->netns, socket->cookie);
    if (socket->met >= monitor->dumps_since ||
        (connection != NULL && connection->opened >= monitor->dumps_since))
        return;
    if (++socket->missed >= MISSED_MAX)
        end_multipath(monitor, socket);
    else
        monitor->multipath_changes = true;
}

bool netns_monitor_wants_dump(const struct netns_monitor *monitor)
{
    return (monitor->multipath_changes || monitor->new_datagrams ||
            (monitor->seeks && may_seek(monitor))) &&
           !monitor->dumps && !monitor->dead;
}

/* Events */

static void take_destroyed(struct netns_monitor *monitor, const struct sock_diag_answer *answer)
{
    const struct conntrack *conntrack = monitor->conntrack;
    struct connection *connection =
        connections_get(conntrack->connections, monitor->netns, answer->target.cookie);
    struct connection_reading reading = {.when = monitor->conntrack->now(),
                                         .state = answer->state,
                                         .info = answer->info,
                                         .info_length = answer->info_length,
                                         .unacknowledged = answer->send_queue};
    if (connection != NULL && !ports_agree(connection, &answer->target.flow)) {
        reject_connection(conntrack, connection);
        connection = NULL;
    }
    keep_end(monitor, answer, reading.when, connection != NULL);
    if (connection != NULL)
        finish_connection(conntrack, connection, DATA_FINAL, &reading);
    else if (monitor->counts.mptcp > 0 && !answer->target.udp)
        path_destroyed(monitor, answer);
}

static void note_missing(const struct conntrack *conntrack, struct connection *connection)
{
    /* a missing first path says nothing about the whole */
    if (connection == NULL || connection->missing_since != 0 || is_mptcp(connection))
        return;
    connection->missing_since = conntrack->now();
    ((struct connection_owner *)connection->owner)->monitor->counts.missing++;
}

/* Returns the tracked socket to which an answer belongs, or NULL. */
static struct connection *connection_of(struct netns_monitor *monitor,
                                        const struct sock_diag_answer *answer)
{
    struct multipath_socket *socket = NULL;
    if (monitor->counts.mptcp > 0 && !answer->target.udp)
        socket = multipath_find(monitor->multipath, &answer->target.flow, answer->target.cookie);
    if (socket != NULL && answer->mptcp) {
        socket->met = monitor->conntrack->now();
        socket->missed = 0;
    }
    /* A path that has ended is still listed for a while, without figures (TIME_WAIT). */
    if (socket != NULL && !answer->mptcp && answer->info == NULL)
        return NULL;
    return connections_get(monitor->conntrack->connections, monitor->netns,
                           socket != NULL ? socket->cookie : answer->target.cookie);
}

/* Updates the ends of the socket. */
static void take_ends(struct connection *connection, const struct sock_diag_target *target)
{
    const uint16_t family = connection->flow.family;
    if (is_mptcp(connection))
        return;
    connection->ifindex = target->ifindex;
    connections_set_local(connection, &target->flow);
    if (is_udp(connection)) {
        connection->flow = target->flow;
        connection->flow.family = family;
    }
}

/* sock_diag reports a listener's limit in the field of the send queue; a UDP socket's limit is its
 * buffer. */
static struct socket_queue queue_of(const struct sock_diag_answer *answer)
{
    const bool datagrams = answer->target.udp && answer->memory != NULL;
    return (struct socket_queue){.length = answer->receive_queue,
                                 .limit = datagrams ? answer->memory[SK_MEMINFO_RCVBUF]
                                                    : answer->send_queue,
                                 .dropped = answer->drops};
}

static void take_found(struct netns_monitor *monitor, const struct sock_diag_answer *answer)
{
    const struct conntrack *conntrack = monitor->conntrack;
    struct connection *connection = connection_of(monitor, answer);
    monitor->sockets_so_far += !answer->target.udp;
    if (connection == NULL)
        return;
    /* Root's programs may have changed their user since. */
    if ((answer->owned && connection->uid != 0 && answer->uid != connection->uid) ||
        (!is_mptcp(connection) && !is_udp(connection) &&
         !ports_agree(connection, &answer->target.flow))) {
        reject_connection(conntrack, connection);
        return;
    }
    /* In TIME_WAIT the kernel keeps only a stub; it has reported the socket's end already. */
    if (answer->info == NULL && !is_mptcp(connection) && !connection_has_queue(connection)) {
        note_missing(conntrack, connection);
        return;
    }
    if (answer->owned)
        connections_confirm(conntrack->connections, connection);
    take_ends(connection, &answer->target);
    connection->sought = false;
    conntrack->counts->samples++;
    connections_sample(conntrack->connections, connection,
                       &(struct connection_reading){.when = monitor->conntrack->now(),
                                                    .state = answer->state,
                                                    .info = answer->info,
                                                    .info_length = answer->info_length,
                                                    .congestion = answer->congestion,
                                                    .queue = queue_of(answer)});
}

void netns_monitor_take_reading(const struct conntrack *conntrack, struct connection *connection,
                                uid_t socket_owner, const struct connection_reading *reading,
                                const uint8_t *options, size_t options_length)
{
    if (connection->uid != 0 && socket_owner != connection->uid) {
        reject_connection(conntrack, connection);
        return;
    }
    connections_confirm(conntrack->connections, connection);
    conntrack->counts->samples++;
    connections_sample(conntrack->connections, connection, reading);
    size_t before = memory_of_connection(connection);
    connections_set_options(conntrack->connections, connection, options, options_length);
    fair_share_change(&conntrack->counts->memory,
                      &((struct connection_owner *)connection->owner)->user->memory, before,
                      memory_of_connection(connection));
}

/* The socket has failed: no connection here gets further figures. */
static void fail_monitor(struct netns_monitor *monitor)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;
    if (!monitor->dead)
        helper_log_user(LOG_WARNING, netns_monitor_uid(monitor),
                        "sock_diag of network namespace %llu failed: %s",
                        (unsigned long long)monitor->netns, strerror(errno));
    monitor->dead = true;
    monitor->dumps = false;
    while ((connection = connections_walk(monitor->conntrack->connections, &cursor, &budget)) !=
           NULL)
        if (((const struct connection_owner *)connection->owner)->monitor == monitor)
            note_missing(monitor->conntrack, connection);
}

static void take_answer(void *context, const struct sock_diag_answer *answer)
{
    struct netns_monitor *monitor = context;
    struct connection *connection;
    switch (answer->event) {
    case SOCK_DIAG_DESTROYED:
        take_destroyed(monitor, answer);
        break;
    case SOCK_DIAG_FOUND:
        take_found(monitor, answer);
        break;
    case SOCK_DIAG_MISSING:
        connection =
            connections_get(monitor->conntrack->connections, monitor->netns, answer->target.cookie);
        note_missing(monitor->conntrack, connection);
        want_seek(monitor, connection);
        break;
    }
}

/* Lookups */

void netns_monitor_flush(struct netns_monitor *monitor)
{
    unsigned batched = monitor->batched;
    monitor->batched = 0;
    if (batched > 0 && !monitor->dead &&
        monitor->conntrack->diag->lookup(monitor->diag, monitor->batch, batched) != 0)
        fail_monitor(monitor);
}

static void add_to_batch(struct netns_monitor *monitor, const struct sock_diag_target *target)
{
    monitor->batch[monitor->batched++] = *target;
    if (monitor->batched == SOCK_DIAG_BATCH)
        netns_monitor_flush(monitor);
}

void netns_monitor_look(struct netns_monitor *monitor, const struct connection *connection)
{
    struct sock_diag_target target = {.cookie = connection->cookie,
                                      .flow = connection->flow,
                                      .ifindex = connection->ifindex,
                                      .any_cookie = is_mptcp(connection)};
    /* A lookup would read the dump to its end; and sockets that share a port are not found by a
     * lookup. For MPTCP, a lookup finds the first path. */
    if (monitor->dumps || monitor->dead || monitor->behind || monitor->diag == NULL ||
        connection_has_queue(connection))
        return;
    add_to_batch(monitor, &target);
}

/* Records */

/* Two users claim one socket: only the kernel knows the owner. Both claims are looked up; if
 * neither is found, the newer one stays. */
static bool may_claim(struct netns_monitor *monitor, const struct connection_start *start)
{
    struct connections *all = monitor->conntrack->connections;
    struct connection *known = connections_get(all, start->netns, start->cookie);
    if (known == NULL || known->uid == start->uid)
        return true;
    if (!known->verified && !monitor->dumps && !monitor->behind && monitor->diag != NULL) {
        struct sock_diag_target claimed = {.cookie = start->cookie,
                                           .flow = start->flow,
                                           .ifindex = start->ifindex,
                                           .udp = start->role == ROLE_DATAGRAM};
        netns_monitor_look(monitor, known);
        add_to_batch(monitor, &claimed);
        netns_monitor_flush(monitor);
        known = connections_get(all, start->netns, start->cookie);
    }
    if (known != NULL && !known->verified &&
        (known->missing_since || connection_has_queue(known))) {
        reject_connection(monitor->conntrack, known);
        known = NULL;
    }
    if (known != NULL)
        monitor->conntrack->counts->dropped[DROP_FOREIGN]++;
    return known == NULL;
}

static struct recent_close *recent_close_of(struct netns_monitor *monitor,
                                            const struct connection *connection)
{
    if (!is_mptcp(connection))
        return recent_closes_find(monitor->recent_closes, connection->cookie);
    return recent_closes_find_flow(monitor->recent_closes, &connection->flow, connection->opened);
}

static bool closed_already(struct netns_monitor *monitor, struct connection *connection)
{
    struct recent_close *end = recent_close_of(monitor, connection);
    struct connection_reading reading;
    if (end == NULL || end->known)
        return false;
    end->known = true;
    reading = (struct connection_reading){.when = end->when,
                                          .info = end->info,
                                          .info_length = end->info_length,
                                          .unacknowledged = end->unacknowledged};
    if (!ports_agree(connection, &end->flow))
        reject_connection(monitor->conntrack, connection);
    else
        finish_connection(monitor->conntrack, connection, DATA_FINAL, &reading);
    return true;
}

/* True for a record about a socket that has already ended. A program that inherited a connection
 * also reports it, and that record may come late. */
static bool is_known_end(const struct netns_monitor *monitor, const struct connection_start *start)
{
    const struct recent_close *end = recent_closes_find(monitor->recent_closes, start->cookie);
    return end != NULL && end->known;
}

/* Two connections never have the same ends at one time: an older one with the ends of a new one has
 * ended. */
static void end_predecessor(struct netns_monitor *monitor, const struct connection_start *start)
{
    const struct multipath_socket *socket;
    if (start->protocol != IPPROTO_MPTCP)
        return;
    socket = multipath_find(monitor->multipath, &start->flow, start->cookie);
    if (socket != NULL && socket->cookie != start->cookie)
        end_multipath(monitor, socket);
}

/* Turns the kernel's events about UDP sockets on or off: on if a UDP socket is reported. */
static void watch_udp(struct netns_monitor *monitor, bool on)
{
    if (monitor->diag != NULL && monitor->watches_udp != on)
        monitor->conntrack->diag->watch_udp(monitor->diag, on);
    monitor->watches_udp = on;
}

static void expect_datagrams(struct netns_monitor *monitor)
{
    watch_udp(monitor, true);
    monitor->new_datagrams = true;
}

struct connection *netns_monitor_open(struct netns_monitor *monitor,
                                      const struct connection_start *start, bool *refused)
{
    struct connections *all = monitor->conntrack->connections;
    struct connection *connection;
    *refused = false;
    if (is_known_end(monitor, start))
        return NULL;
    *refused = !may_claim(monitor, start);
    if (*refused)
        return NULL;
    end_predecessor(monitor, start);
    connection = connections_get(all, start->netns, start->cookie);
    if (connection != NULL)
        count_connection(monitor->conntrack, connection, (size_t)-1);
    connection = connections_open(all, start);
    if (connection == NULL) {
        monitor->conntrack->counts->dropped[DROP_LIMIT]++;
        *refused = true;
        return NULL;
    }
    count_connection(monitor->conntrack, connection, 1);
    if (is_udp(connection))
        expect_datagrams(monitor);
    return closed_already(monitor, connection) ? NULL : connection;
}

/* Dumps */

/* True if the finished plan included such a connection. */
static bool was_looked_for(const struct netns_monitor *monitor, const struct connection *connection)
{
    return monitor->dumps_all || connection_has_queue(connection);
}

/* Connections that the dump did not list although it should have are missing. */
static void end_dumps(struct netns_monitor *monitor)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;
    monitor->dumps = false;
    if (monitor->seeking) {
        monitor->sought_until = monitor->conntrack->now();
        monitor->seeking_took = monitor->sought_until - monitor->dumps_since;
        monitor->seeking = false;
    }
    multipath_each(monitor->multipath, find_missed, monitor);
    if (monitor->dumps_all)
        monitor->sockets = monitor->sockets_so_far;
    while ((connection = connections_walk(monitor->conntrack->connections, &cursor, &budget)) !=
           NULL) {
        const struct connection_owner *owner = connection->owner;
        if (owner->monitor == monitor && connection->opened < monitor->dumps_since &&
            connection->sampled < monitor->dumps_since && was_looked_for(monitor, connection))
            note_missing(monitor->conntrack, connection);
    }
}

static void next_dump(struct netns_monitor *monitor)
{
    while (monitor->planned > 0) {
        const struct dump_kind *kind = &monitor->plan[--monitor->planned];
        if (monitor->conntrack->diag->dump(monitor->diag, kind->family, kind->protocol,
                                           kind->states) == 0)
            return;
    }
    end_dumps(monitor);
}

/* If no socket of a family is tracked, the kernel need not list that family. */
static void plan_dump(struct netns_monitor *monitor, uint16_t protocol, uint32_t states)
{
    if (monitor->counts.tracked > monitor->counts.inet6)
        monitor->plan[monitor->planned++] = (struct dump_kind){AF_INET, protocol, states};
    if (monitor->counts.inet6 > 0)
        monitor->plan[monitor->planned++] = (struct dump_kind){AF_INET6, protocol, states};
}

void netns_monitor_dump(struct netns_monitor *monitor, bool all)
{
    if (monitor->dumps || monitor->dead || monitor->diag == NULL)
        return;
    /* Send the batch first: a lookup would read the dump to its end, so ready() would not see that
     * end and might never be woken. */
    netns_monitor_flush(monitor);
    if (monitor->dead)
        return;
    if (monitor->seeks && may_seek(monitor)) {
        all = true;
        monitor->seeks = false;
        monitor->seeking = true;
    }
    if (all)
        plan_dump(monitor, IPPROTO_TCP, ALL_STATES);
    else if (monitor->counts.listeners > 0)
        plan_dump(monitor, IPPROTO_TCP, 1u << STATE_LISTEN);
    if (monitor->counts.mptcp > 0)
        plan_dump(monitor, IPPROTO_MPTCP, ALL_STATES);
    if (monitor->counts.datagrams > 0)
        plan_dump(monitor, IPPROTO_UDP, ALL_STATES);
    else
        watch_udp(monitor, false);
    monitor->new_datagrams = false;
    if (monitor->planned == 0)
        return;
    monitor->dumps = true;
    monitor->dumps_all = all;
    monitor->dumps_since = monitor->conntrack->now();
    monitor->multipath_changes = false;
    monitor->sockets_so_far = 0;
    next_dump(monitor);
}

bool netns_monitor_read(struct netns_monitor *monitor)
{
    int more;
    if (monitor->dead || monitor->diag == NULL)
        return false;
    more = monitor->conntrack->diag->read(monitor->diag, READ_AT_ONCE);
    if (more < 0)
        fail_monitor(monitor);
    else if (monitor->dumps && !monitor->conntrack->diag->is_dumping(monitor->diag))
        next_dump(monitor);
    monitor->behind = more > 0;
    return monitor->behind;
}

/* The whole */

struct netns_monitor *netns_monitor_new(const struct conntrack *conntrack, int fd, uint64_t netns,
                                        struct user_account *user)
{
    struct netns_monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL) {
        (void)close(fd);
        return NULL;
    }
    *monitor = (struct netns_monitor){.conntrack = conntrack,
                                      .netns = netns,
                                      .user = user,
                                      .recent_closes = recent_closes_new(),
                                      .multipath = multipath_new()};
    if (fd >= 0)
        monitor->diag = conntrack->diag->open(fd, take_answer, monitor);
    if (monitor->recent_closes != NULL && monitor->multipath != NULL &&
        (fd < 0 || monitor->diag != NULL)) {
        count_monitor_memory(monitor,
                             sizeof *monitor + recent_closes_memory(monitor->recent_closes));
        return monitor;
    }
    helper_log_user(LOG_ERR, netns_monitor_uid(monitor), "cannot watch network namespace %llu: %s",
                    (unsigned long long)netns, strerror(errno));
    netns_monitor_free(monitor);
    return NULL;
}

void netns_monitor_free(struct netns_monitor *monitor)
{
    if (monitor == NULL)
        return;
    if (monitor->diag != NULL)
        monitor->conntrack->diag->close(monitor->diag);
    count_monitor_memory(monitor, 0);
    recent_closes_free(monitor->recent_closes);
    multipath_free(monitor->multipath);
    free(monitor);
}
