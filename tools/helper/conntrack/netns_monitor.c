/* SPDX-License-Identifier: MIT */
/*
 * From sock_diag to the model.
 */
#include "netns_monitor.h"
#include "handoff.h"
#include "multipath.h"
#include "policy.h"
#include "poller.h"
#include "recent_closes.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#define STATE_LISTEN 10u
#define ALL_STATES   0xfffu
#define READ_AT_ONCE 256u
#define CATCH_UP     64u /* times that */
#define DUMP_KINDS   6u
/* A Multipath TCP socket is over when so many dumps on end have not met it: one alone may pass it
 * by while the kernel's table changes. */
#define MISSED_MAX    2u
#define SEEKING_SHARE 20u

struct dump_kind {
    uint8_t family;
    uint16_t protocol;
    uint32_t states;
};

struct space {
    struct helper *helper;
    struct diag *diag;
    struct loop_source *source;
    uint64_t netns;
    uid_t uid;
    bool own;
    bool dead;
    struct space_counts counts;
    struct early_ends *early;
    struct multipath *multipath;
    bool multipath_changes; /* one seems to be over: look soon */
    bool seeking;           /* the dump under way is for `seeks` */
    bool seeks;             /* one that may be bound to an interface: look among all, soon */
    struct diag_target batch[DIAG_BATCH];
    unsigned batched;
    struct dump_kind plan[DUMP_KINDS]; /* dumps still to be made, from the end */
    unsigned planned;
    bool dumps;            /* the plan is being carried out */
    bool dumps_all;        /* it includes all connections */
    uint64_t dumps_since;  /* when the plan began */
    uint64_t sought_until; /* when the last one for `seeks` ended, */
    uint64_t seeking_took; /* and how long it took */
    size_t sockets_so_far; /* that the plan has met */
    size_t sockets;
    uint64_t last_overrun;
};

uint64_t space_netns(const struct space *space)
{
    return space->netns;
}

uid_t space_uid(const struct space *space)
{
    return space->uid;
}

bool space_is_own(const struct space *space)
{
    return space->own;
}

struct space_counts space_counts(const struct space *space)
{
    return space->counts;
}

bool space_is_dead(const struct space *space)
{
    return space->dead;
}

bool space_is_blind(const struct space *space)
{
    return !space->diag;
}

size_t space_sockets(const struct space *space)
{
    return space->sockets;
}

bool space_is_dumping(const struct space *space)
{
    return space->dumps;
}

uint64_t space_last_overrun(const struct space *space)
{
    return space->last_overrun;
}

uint64_t space_count_overruns(struct space *space)
{
    uint64_t lost = space->diag ? diag_overruns(space->diag) : 0;

    if (lost > 0)
        space->last_overrun = now_real();
    return lost;
}

/* --- what becomes of a connection ----------------------------------------------------------- */

static bool is_mptcp(const struct connection *connection)
{
    return connection->protocol == IPPROTO_MPTCP;
}

/* Connections are counted by whom they belong to: +1 or -1. */
static void count(const struct connection *connection, size_t by)
{
    struct tracker *tracker = connection->owner;

    tracker->tracked += by;
    tracker->user->connections += by;
    tracker->space->counts.tracked += by;
    tracker->space->counts.listeners += connection->role == ROLE_LISTEN ? by : 0;
    tracker->space->counts.inet6 += connection->family == AF_INET6 ? by : 0;
    if (!is_mptcp(connection))
        return;
    tracker->space->counts.mptcp += by;
    if (by == 1)
        multipath_add(tracker->space->multipath, connection);
    else
        multipath_remove(tracker->space->multipath, connection);
}

static void finish(struct helper *helper, struct connection *connection, enum connection_data data,
                   const struct connection_reading *reading)
{
    count(connection, (size_t)-1);
    connections_close(helper->connections, connection, data, reading);
}

void space_lost(struct helper *helper, struct connection *connection)
{
    finish(helper, connection, DATA_LOST, NULL);
}

void space_lose(struct helper *helper, const struct tracker *tracker)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;

    while (tracker->tracked > 0 &&
           (connection = connections_walk(helper->connections, &cursor, &budget))) {
        if (connection->owner != tracker)
            continue;
        connection->missing_since = now_real();
        space_lost(helper, connection);
    }
}

/* A record that names somebody else's socket. */
static void reject(struct helper *helper, struct connection *connection)
{
    struct tracker *tracker = connection->owner;

    tracker->foreign++;
    helper->dropped[DROP_FOREIGN]++;
    count(connection, (size_t)-1);
    connections_reject(helper->connections, connection);
}

/* Ports that both sides know. A reset socket has forgotten its peer. */
static bool ports_agree(uint16_t local, uint16_t remote, uint16_t told_local, uint16_t told_remote)
{
    return (local == told_local || !local || !told_local) &&
           (remote == told_remote || !remote || !told_remote);
}

/* --- interfaces ----------------------------------------------------------------------------- */

/* The kernel finds a socket that is bound to an interface only if it is asked for that interface
 * (inet_lookup() in net/ipv4/inet_hashtables.c), which programs do not tell: it would cost each
 * connection a system call. A dump names it. */
static void seek(struct space *space, struct connection *connection)
{
    if (!connection || connection->sought || connection->ifindex != 0 || is_mptcp(connection))
        return;
    connection->sought = true;
    space->seeks = true;
}

/* Seeking takes at most one part in so many of the time. */
static bool may_seek(const struct space *space)
{
    return now_real() - space->sought_until >= space->seeking_took * SEEKING_SHARE;
}

/* --- Multipath TCP -------------------------------------------------------------------------- */

/* The socket is over. Its figures are the last ones of its first path, or older ones. */
static void end_multipath(struct space *space, const struct multipath_socket *socket)
{
    struct connection *connection =
        connections_get(space->helper->connections, space->netns, socket->cookie);
    struct tcp_info_bytes info;

    if (!connection)
        return;
    connection_info(connection, &info);
    if (socket->has_last_word || connection->role == ROLE_LISTEN)
        finish(space->helper, connection, DATA_FINAL,
               &(struct connection_reading){.when = connection->sampled,
                                            .info = info.bytes,
                                            .info_length = info.length,
                                            .unacknowledged = socket->unacknowledged});
    else
        finish(space->helper, connection, DATA_LOST, NULL);
}

/* A TCP socket that no connection is known by is gone: perhaps it was a path. One that the kernel
 * has reset by then does not tell whose. */
static void path_destroyed(struct space *space, const struct diag_answer *answer)
{
    struct multipath_socket *socket = multipath_find(space->multipath, &answer->target);
    struct connection *connection =
        socket ? connections_get(space->helper->connections, space->netns, socket->cookie) : NULL;

    if (connection || answer->target.remote_port == 0)
        space->multipath_changes = true;
    if (!connection || !answer->info)
        return;
    socket->has_last_word = true;
    socket->unacknowledged = answer->send_queue;
    connections_sample(space->helper->connections, connection,
                       &(struct connection_reading){.when = now_real(),
                                                    .state = answer->state,
                                                    .info = answer->info,
                                                    .info_length = answer->info_length});
}

static void find_missed(void *context, struct multipath_socket *socket)
{
    struct space *space = context;
    const struct connection *connection =
        connections_find(space->helper->connections, space->netns, socket->cookie);

    if (socket->met >= space->dumps_since ||
        (connection && connection->opened >= space->dumps_since))
        return;
    if (++socket->missed >= MISSED_MAX)
        end_multipath(space, socket);
    else
        space->multipath_changes = true;
}

bool space_wants_dump(const struct space *space)
{
    return (space->multipath_changes || (space->seeks && may_seek(space))) && !space->dumps &&
           !space->dead;
}

/* -------------------------------------------------------------------------------------------- */

static void destroyed(struct space *space, const struct diag_answer *answer)
{
    struct helper *helper = space->helper;
    struct connection *connection =
        connections_get(helper->connections, space->netns, answer->target.cookie);
    struct connection_reading reading = {.when = now_real(),
                                         .state = answer->state,
                                         .info = answer->info,
                                         .info_length = answer->info_length,
                                         .unacknowledged = answer->send_queue};

    if (connection && !ports_agree(connection->local_port, connection->remote_port,
                                   answer->target.local_port, answer->target.remote_port)) {
        reject(helper, connection);
        connection = NULL;
    }
    early_add(space->early, answer, reading.when, connection != NULL);
    if (connection)
        finish(helper, connection, DATA_FINAL, &reading);
    else if (space->counts.mptcp > 0)
        path_destroyed(space, answer);
}

static void missing(struct helper *helper, struct connection *connection)
{
    /* That the first path is not there says nothing of the whole. */
    if (connection && connection->missing_since == 0 && !is_mptcp(connection)) {
        connection->missing_since = now_real();
        sampler_misses(helper->sampler);
    }
}

/* The tracked socket that an answer is about, or NULL. */
static struct connection *connection_of(struct space *space, const struct diag_answer *answer)
{
    struct multipath_socket *socket = NULL;

    if (space->counts.mptcp > 0)
        socket = multipath_find(space->multipath, &answer->target);
    if (socket && answer->mptcp) {
        socket->met = now_real();
        socket->missed = 0;
    }
    /* A path that is over is found for a while yet, without figures (TIME_WAIT). */
    if (socket && !answer->mptcp && !answer->info)
        return NULL;
    return connections_get(space->helper->connections, space->netns,
                           socket ? socket->cookie : answer->target.cookie);
}

static void found(struct space *space, const struct diag_answer *answer)
{
    struct helper *helper = space->helper;
    struct connection *connection = connection_of(space, answer);

    space->sockets_so_far++;
    if (!connection)
        return;
    /* What root's programs open may belong to the users that they became. */
    if ((answer->owned && connection->uid != 0 && answer->uid != connection->uid) ||
        (!is_mptcp(connection) &&
         !ports_agree(connection->local_port, connection->remote_port, answer->target.local_port,
                      answer->target.remote_port))) {
        reject(helper, connection);
        return;
    }
    /* In TIME_WAIT the kernel keeps but a stub, and has told of the socket's end. */
    if (!answer->info && !is_mptcp(connection) && connection->role != ROLE_LISTEN) {
        missing(helper, connection);
        return;
    }
    if (answer->owned)
        connection->verified = true;
    if (!is_mptcp(connection))
        connection->ifindex = answer->target.ifindex;
    connection->sought = false;
    helper->samples++;
    connections_sample(helper->connections, connection,
                       &(struct connection_reading){.when = now_real(),
                                                    .state = answer->state,
                                                    .info = answer->info,
                                                    .info_length = answer->info_length,
                                                    .congestion = answer->congestion,
                                                    .accept_queue = answer->receive_queue,
                                                    .accept_limit = answer->send_queue});
}

void space_take(struct helper *helper, struct connection *connection, const struct handed *handed)
{
    const struct connection_reading reading = {.when = now_real(),
                                               .state = handed->state,
                                               .info = handed->info,
                                               .info_length = handed->info_length,
                                               .congestion = handed->congestion};

    if (connection->uid != 0 && handed->owner != connection->uid) {
        reject(helper, connection);
        return;
    }
    connection->verified = true;
    helper->samples++;
    connections_sample(helper->connections, connection, &reading);
    connections_set_options(helper->connections, connection, handed->options,
                            handed->options_length);
}

/* Nothing more will be learnt of what is tracked here. */
static void die(struct space *space)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;

    if (!space->dead)
        helper_log(LOG_WARNING, "sock_diag of network namespace %llu failed: %s",
                   (unsigned long long)space->netns, strerror(errno));
    space->dead = true;
    space->dumps = false;
    loop_remove(space->helper->loop, space->source);
    space->source = NULL;
    while ((connection = connections_walk(space->helper->connections, &cursor, &budget)))
        if (((const struct tracker *)connection->owner)->space == space)
            missing(space->helper, connection);
}

static void take_answer(void *context, const struct diag_answer *answer)
{
    struct space *space = context;
    struct connection *connection;

    switch (answer->event) {
    case DIAG_DESTROYED:
        destroyed(space, answer);
        break;
    case DIAG_FOUND:
        found(space, answer);
        break;
    case DIAG_MISSING:
        connection =
            connections_get(space->helper->connections, space->netns, answer->target.cookie);
        missing(space->helper, connection);
        seek(space, connection);
        break;
    }
}

/* --- looking -------------------------------------------------------------------------------- */

void space_flush(struct space *space)
{
    unsigned batched = space->batched;

    space->batched = 0;
    if (batched > 0 && !space->dead && diag_lookup(space->diag, space->batch, batched) != 0)
        die(space);
}

static void look_at(struct space *space, const struct diag_target *target)
{
    space->batch[space->batched++] = *target;
    if (space->batched == DIAG_BATCH)
        space_flush(space);
}

void space_look(struct space *space, const struct connection *connection)
{
    struct diag_target target = {.cookie = connection->cookie,
                                 .local_port = connection->local_port,
                                 .remote_port = connection->remote_port,
                                 .ifindex = connection->ifindex,
                                 .family = connection->family};

    /* A lookup would carry the dump on to its end; and listeners that share a port are not found
     * by lookup. Of MPTCP, the first path is. */
    if (space->dumps || space->dead || !space->diag || connection->role == ROLE_LISTEN)
        return;
    target.any_cookie = is_mptcp(connection);
    memcpy(target.local, connection->local, sizeof target.local);
    memcpy(target.remote, connection->remote, sizeof target.remote);
    look_at(space, &target);
}

/* --- records -------------------------------------------------------------------------------- */

/* Two users claim one socket: the kernel knows whose it is. Both say where to look for it; where it
 * is in neither place, the newer claim stands. */
static bool may_claim(struct space *space, const struct connection_start *start)
{
    struct connections *all = space->helper->connections;
    struct connection *known = connections_get(all, start->netns, start->cookie);

    if (!known || known->uid == start->uid)
        return true;
    if (!known->verified && !space->dumps && space->diag) {
        struct diag_target claimed = {.cookie = start->cookie,
                                      .local_port = start->local_port,
                                      .remote_port = start->remote_port,
                                      .ifindex = start->ifindex,
                                      .family = start->family};

        memcpy(claimed.local, start->local, sizeof claimed.local);
        memcpy(claimed.remote, start->remote, sizeof claimed.remote);
        space_look(space, known);
        look_at(space, &claimed);
        space_flush(space);
        known = connections_get(all, start->netns, start->cookie);
    }
    if (known && !known->verified && known->missing_since) {
        reject(space->helper, known);
        known = NULL;
    }
    if (known)
        space->helper->dropped[DROP_FOREIGN]++;
    return !known;
}

static struct early_end *early_end_of(struct space *space, const struct connection *connection)
{
    struct diag_target target = {.local_port = connection->local_port,
                                 .remote_port = connection->remote_port};

    if (!is_mptcp(connection))
        return early_find(space->early, connection->cookie);
    memcpy(target.local, connection->local, sizeof target.local);
    memcpy(target.remote, connection->remote, sizeof target.remote);
    return early_find_ends(space->early, &target, connection->opened);
}

static bool ended_early(struct space *space, struct connection *connection)
{
    struct early_end *end = early_end_of(space, connection);
    struct connection_reading reading;

    if (!end || end->known)
        return false;
    end->known = true;
    reading = (struct connection_reading){.when = end->when,
                                          .info = end->info,
                                          .info_length = end->info_length,
                                          .unacknowledged = end->unacknowledged};
    if (!ports_agree(connection->local_port, connection->remote_port, end->local_port,
                     end->remote_port))
        reject(space->helper, connection);
    else
        finish(space->helper, connection, DATA_FINAL, &reading);
    return true;
}

/* A record of what is over already. Programs that are started with a connection report it too, and
 * that record may come late. */
static bool is_over(const struct space *space, const struct connection_start *start)
{
    const struct early_end *end = early_find(space->early, start->cookie);

    return end && end->known;
}

/* Two have never the same ends: an older one with those of a new one is over. */
static void end_predecessor(struct space *space, const struct connection_start *start)
{
    struct diag_target target = {.cookie = start->cookie,
                                 .local_port = start->local_port,
                                 .remote_port = start->remote_port};
    const struct multipath_socket *socket;

    if (start->protocol != IPPROTO_MPTCP)
        return;
    memcpy(target.local, start->local, sizeof target.local);
    memcpy(target.remote, start->remote, sizeof target.remote);
    socket = multipath_find(space->multipath, &target);
    if (socket && socket->cookie != start->cookie)
        end_multipath(space, socket);
}

struct connection *space_open(struct space *space, const struct connection_start *start)
{
    struct connections *all = space->helper->connections;
    struct connection *connection;

    if (is_over(space, start) || !may_claim(space, start))
        return NULL;
    end_predecessor(space, start);
    connection = connections_get(all, start->netns, start->cookie);
    if (connection)
        count(connection, (size_t)-1);
    connection = connections_open(all, start);
    if (!connection) {
        space->helper->dropped[DROP_LIMIT]++;
        return NULL;
    }
    count(connection, 1);
    return ended_early(space, connection) ? NULL : connection;
}

/* --- dumps ----------------------------------------------------------------------------------- */

/* Did the plan that was carried out look for such a connection? */
static bool was_looked_for(const struct space *space, const struct connection *connection)
{
    return space->dumps_all || connection->role == ROLE_LISTEN;
}

/* What a dump should have met and did not is missing. */
static void end_dumps(struct space *space)
{
    struct connection *connection;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;

    space->dumps = false;
    if (space->seeking) {
        space->sought_until = now_real();
        space->seeking_took = space->sought_until - space->dumps_since;
        space->seeking = false;
    }
    multipath_each(space->multipath, find_missed, space);
    if (space->dumps_all)
        space->sockets = space->sockets_so_far;
    while ((connection = connections_walk(space->helper->connections, &cursor, &budget))) {
        const struct tracker *tracker = connection->owner;

        if (tracker->space == space && connection->opened < space->dumps_since &&
            connection->sampled < space->dumps_since && was_looked_for(space, connection))
            missing(space->helper, connection);
    }
}

static void next_dump(struct space *space)
{
    while (space->planned > 0) {
        const struct dump_kind *kind = &space->plan[--space->planned];

        if (diag_dump(space->diag, kind->family, kind->protocol, kind->states) == 0)
            return;
    }
    end_dumps(space);
}

/* Of a family of which nothing is tracked, the kernel need not walk over all sockets. */
static void plan(struct space *space, uint16_t protocol, uint32_t states)
{
    if (space->counts.tracked > space->counts.inet6)
        space->plan[space->planned++] = (struct dump_kind){AF_INET, protocol, states};
    if (space->counts.inet6 > 0)
        space->plan[space->planned++] = (struct dump_kind){AF_INET6, protocol, states};
}

void space_dump(struct space *space, bool all)
{
    if (space->dumps || space->dead || !space->diag)
        return;
    /* What is batched goes first: a lookup would carry the dump on to its end, and take that end
     * away from ready(), which then nothing may wake. */
    space_flush(space);
    if (space->dead)
        return;
    if (space->seeks && may_seek(space)) {
        all = true;
        space->seeks = false;
        space->seeking = true;
    }
    if (all)
        plan(space, IPPROTO_TCP, ALL_STATES);
    else if (space->counts.listeners > 0)
        plan(space, IPPROTO_TCP, 1u << STATE_LISTEN);
    if (space->counts.mptcp > 0)
        plan(space, IPPROTO_MPTCP, ALL_STATES);
    if (space->planned == 0)
        return;
    space->dumps = true;
    space->dumps_all = all;
    space->dumps_since = now_real();
    space->multipath_changes = false;
    space->sockets_so_far = 0;
    next_dump(space);
}

/* Take a number of messages; before the ends, the beginnings. Returns whether more are waiting. */
static bool take_some(struct space *space)
{
    int more;

    sampler_take_records(space->helper->sampler);
    more = diag_read(space->diag, READ_AT_ONCE);
    if (more < 0)
        die(space);
    else if (space->dumps && !diag_is_dumping(space->diag))
        next_dump(space);
    return more > 0;
}

static void ready(void *context, uint32_t events)
{
    struct space *space = context;
    uint64_t begin = now_monotonic();

    (void)events;
    (void)take_some(space);
    space->helper->sampling_time += now_monotonic() - begin;
}

bool space_catch_up(struct space *space)
{
    for (unsigned i = 0; i < CATCH_UP && !space->dead && space->diag; i++)
        if (!take_some(space))
            return true;
    return space->dead || !space->diag;
}

struct space *space_new(struct helper *helper, int fd, uint64_t netns, uid_t uid, bool own)
{
    struct space *space = calloc(1, sizeof *space);

    if (!space) {
        (void)close(fd);
        return NULL;
    }
    *space = (struct space){.helper = helper, .netns = netns, .uid = uid, .own = own};
    space->early = early_new();
    space->multipath = multipath_new();
    if (fd < 0 && space->early && space->multipath)
        return space;
    space->diag = diag_open(fd, take_answer, space);
    if (space->diag)
        space->source = loop_watch(helper->loop, diag_fd(space->diag), EPOLLIN, ready, space);
    if (!space->early || !space->multipath || !space->source) {
        helper_log(LOG_ERR, "cannot watch network namespace %llu: %s", (unsigned long long)netns,
                   strerror(errno));
        space_free(space);
        return NULL;
    }
    return space;
}

void space_free(struct space *space)
{
    if (!space)
        return;
    loop_remove(space->helper->loop, space->source);
    if (space->diag)
        diag_close(space->diag);
    early_free(space->early);
    multipath_free(space->multipath);
    free(space);
}
