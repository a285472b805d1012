/* SPDX-License-Identifier: MIT */
#include "registration_server.h"
#include "clock.h"
#include "log.h"
#include "parcel.h"
#include "receiver.h"
#include "report_ring.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define PARCELS_AT_ONCE 64

struct registration_server {
    struct loop *loop;
    struct client_table *clients;
    struct report_sources *reports;
    struct helper_counts *counts;
    int listening;
    int parcels; /* -1: no receiver */
    pid_t guard;
    struct loop_source *source;
    struct loop_source *timer;
    struct parcel parcel; /* the parcel being processed */
};

/* A program killed while it registered did nothing wrong, so it is not logged. */
static void refuse_registration(const struct registration_server *server,
                                const struct parcel_head *head, enum drop drop, const char *why)
{
    server->counts->dropped[drop]++;
    if (drop != DROP_UNFINISHED)
        helper_log_user(LOG_WARNING, head->who.uid, "%s of process %d of user %u is refused: %s",
                        drop_name(drop), (int)head->who.pid, (unsigned)head->who.uid, why);
}

/* Takes ownership of the descriptors. */
static const char *take_registration(const struct registration_server *server,
                                     struct parcel *parcel)
{
    const struct parcel_head *head = &parcel->head;
    const struct client_identity who = {head->who.pid, head->who.uid, head->who.gid, parcel->pidfd,
                                        head->netns};
    struct registration_names names;
    size_t count = parcel->fds[1] >= 0 ? 2 : 1;
    const char *wrong = registration_parse(parcel->body.message, head->length, count, &names);
    if (wrong == NULL)
        wrong = client_table_no_room(server->clients, head->who.uid);
    if (wrong != NULL) {
        parcel_close(parcel);
        return wrong;
    }
    return client_table_add(server->clients, &who, &names, parcel->fds);
}

/* Takes ownership of the descriptors. */
static const char *take_attachment(const struct registration_server *server, struct parcel *parcel)
{
    const struct parcel_head *head = &parcel->head;
    struct attach_message message;
    const char *wrong = report_ring_check_message(parcel->body.message, head->length, &message);
    if (wrong == NULL && (parcel->fds[0] < 0 || parcel->fds[1] < 0))
        wrong = "an attachment without its maps";
    if (wrong != NULL) {
        parcel_close(parcel);
        return wrong;
    }
    const struct report_passer who = {head->who.uid, parcel->pidfd,
                                      (message.flags & ATTACH_PINNED) != 0};
    return report_sources_add(server->reports, &who, parcel->fds);
}

static const char *take_handoff(const struct registration_server *server,
                                const struct parcel *parcel)
{
    const struct handoff *handoff = &parcel->body.handed.handoff;
    uid_t uid = parcel->head.who.uid;
    client_table_handoff_done(server->clients, uid, handoff);
    if (parcel->head.why[0] != 0)
        return parcel->head.why;
    return client_table_take_handoff(server->clients, uid, handoff, &parcel->body.handed.reading);
}

static void take_parcel(const struct registration_server *server, struct parcel *parcel)
{
    const struct parcel_head *head = &parcel->head;
    const char *wrong = head->why;
    enum drop drop = head->drop;
    if (head->kind == PARCEL_REGISTRATION) {
        drop = DROP_REGISTRATION;
        wrong = take_registration(server, parcel);
    } else if (head->kind == PARCEL_ATTACHMENT) {
        drop = DROP_REGISTRATION;
        wrong = take_attachment(server, parcel);
    } else if (head->kind == PARCEL_HANDOFF) {
        wrong = take_handoff(server, parcel);
    }
    if (wrong != NULL)
        refuse_registration(server, head, drop, wrong);
}

static void parcels_ready(void *context, uint32_t events)
{
    struct registration_server *server = context;
    unsigned taken = 0;
    while (taken < PARCELS_AT_ONCE && parcel_receive(server->parcels, &server->parcel)) {
        take_parcel(server, &server->parcel);
        taken++;
    }
    if (taken > 0 || (events & (EPOLLHUP | EPOLLERR)) == 0)
        return;
    helper_log(LOG_ERR, "the receiver of registrations has ended; another one is started");
    loop_remove(server->loop, server->source);
    (void)close(server->parcels);
    server->source = NULL;
    server->parcels = -1;
}

static int start_receiver(struct registration_server *server)
{
    server->parcels = receiver_start(server->listening, &server->guard);
    if (server->parcels < 0)
        return -1;
    server->source = loop_watch(server->loop, server->parcels, EPOLLIN, parcels_ready, server);
    return server->source != NULL ? 0 : -1;
}

static void each_second(void *context)
{
    struct registration_server *server = context;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    if (server->parcels < 0 && start_receiver(server) != 0)
        helper_log(LOG_ERR, "the receiver cannot be started: %s", strerror(errno));
}

struct registration_server *registration_start(struct loop *loop, struct client_table *clients,
                                               struct report_sources *reports,
                                               struct helper_counts *counts, int fd)
{
    struct registration_server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        (void)close(fd);
        return NULL;
    }
    *server = (struct registration_server){.loop = loop,
                                           .clients = clients,
                                           .reports = reports,
                                           .counts = counts,
                                           .listening = fd,
                                           .parcels = -1};
    server->timer = loop_timer(loop, SECOND, each_second, server);
    if (server->timer != NULL && start_receiver(server) == 0)
        return server;
    helper_log(LOG_ERR, "the receiver cannot be started: %s", strerror(errno));
    registration_stop(server);
    return NULL;
}

void registration_stop(struct registration_server *server)
{
    if (server == NULL)
        return;
    if (server->guard > 0)
        (void)kill(server->guard, SIGKILL);
    loop_remove(server->loop, server->source);
    loop_remove(server->loop, server->timer);
    if (server->parcels >= 0)
        (void)close(server->parcels);
    (void)close(server->listening);
    free(server);
}
