/* SPDX-License-Identifier: MIT */
#include "receiver_loop.h"
#include "client_message.h"
#include "clock.h"
#include "compat.h"
#include "deferred_close.h"
#include "kernel.h"
#include "loop.h"
#include "parcel.h"
#include "receiver.h"
#include "registration_parse.h"
#include "report_ring.h"
#include "sock_diag.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAITING_MAX      64u
#define USER_WAITING     16u
#define WAIT_NS          (2 * SECOND)
#define ACCEPT_AT_ONCE   32
#define SEND_PATIENCE_MS 5000

struct waiting_client {
    struct receiver *receiver;
    struct loop_source *source;
    int fd; /* -1: the entry is free */
    struct ucred who;
    uint64_t since;
};

struct receiver {
    struct receiver_job job;
    struct loop *loop;
    struct loop_source *source;
    struct loop_source *timer;
    struct waiting_client waiting[WAITING_MAX];
    struct client_message message; /* the message being processed */
    struct parcel parcel;          /* the report about it */
};

/* What the guard watches */

static void begin_work(const struct receiver *receiver, uid_t uid)
{
    receiver->job.page->busy_with = uid;
    __atomic_store_n(&receiver->job.page->busy_since, now_monotonic(), __ATOMIC_RELEASE);
}

static void end_work(const struct receiver *receiver)
{
    __atomic_store_n(&receiver->job.page->busy_since, 0, __ATOMIC_RELEASE);
}

/* The helper may be stopped; no client is to blame for that. */
static void send_parcel(struct receiver *receiver, uid_t uid)
{
    end_work(receiver);
    (void)parcel_send(receiver->job.parcels, &receiver->parcel, SEND_PATIENCE_MS);
    begin_work(receiver, uid);
}

/* Clients */

static void hang_up(struct waiting_client *client)
{
    loop_remove(client->receiver->loop, client->source);
    deferred_close(client->fd);
    client->fd = -1;
    client->source = NULL;
}

static void begin_parcel(struct receiver *receiver, const struct ucred *who)
{
    receiver->parcel.head = (struct parcel_head){.who = *who};
    receiver->parcel.fds[0] = receiver->parcel.fds[1] = receiver->parcel.pidfd = -1;
}

static void refuse_client(struct receiver *receiver, const struct ucred *who, enum drop drop,
                          const char *why)
{
    begin_parcel(receiver, who);
    parcel_refuse(&receiver->parcel, drop, why);
    send_parcel(receiver, who->uid);
}

/* Opens a pidfd of the client: its pid may be reused. */
static int pidfd_of(int fd, pid_t pid)
{
    int pidfd = -1;
    socklen_t length = sizeof pidfd;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0)
        return pidfd;
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Messages */

static const char *check_registration(const struct client_message *message)
{
    struct registration_names names;
    uint64_t netns;
    const char *wrong = message->more ? "it passed something else than descriptors, or too many"
                                      : registration_parse(message->bytes, message->length,
                                                           message->fd_count, &names);
    if (wrong == NULL && fcntl(message->fds[0], F_GET_SEALS) < 0)
        wrong = "the ring is not a memfd";
    if (wrong == NULL && message->fd_count > 1)
        wrong = sock_diag_check(message->fds[1], &netns);
    return wrong;
}

/* Passes the message on with its descriptors, unless `wrong` is set. */
static bool pass_on(struct receiver *receiver, const struct waiting_client *client,
                    enum parcel_kind kind, const char *wrong)
{
    const struct client_message *message = &receiver->message;
    struct parcel *parcel = &receiver->parcel;
    if (wrong != NULL) {
        parcel_refuse(parcel, DROP_MESSAGE, wrong);
        return false;
    }
    parcel->head.kind = kind;
    parcel->head.length = (uint32_t)message->length;
    memcpy(parcel->body.message, message->bytes, message->length);
    for (unsigned i = 0; i < message->fd_count; i++)
        parcel->fds[i] = message->fds[i];
    parcel->pidfd = pidfd_of(client->fd, client->who.pid);
    return true;
}

static void take_registration(struct receiver *receiver, const struct waiting_client *client,
                              bool may_block)
{
    const char *wrong = check_registration(&receiver->message);
    if (wrong == NULL && may_block)
        wrong = "its ring is too large";
    if (!pass_on(receiver, client, PARCEL_REGISTRATION, wrong))
        return;
    /* A connected Unix socket is in the network namespace of the process that connected
     * (unix_stream_connect() in net/unix/af_unix.c). */
    receiver->parcel.head.netns = kernel_get_cookie(client->fd, SO_NETNS_COOKIE);
}

static void take_attachment(struct receiver *receiver, const struct waiting_client *client)
{
    const struct client_message *message = &receiver->message;
    struct attach_message checked;
    const char *wrong = report_ring_check_message(message->bytes, message->length, &checked);
    if (wrong == NULL &&
        (message->more || message->fd_count != 2 || !report_ring_is_map(message->fds[0]) ||
         !report_ring_is_map(message->fds[1])))
        wrong = "an attachment passes two BPF maps";
    (void)pass_on(receiver, client, PARCEL_ATTACHMENT, wrong);
}

/* Closes the connection before it reports it: as long as it is open here, the program's close()
 * does not end it. */
static void take_handoff(struct receiver *receiver, bool may_block)
{
    struct client_message *message = &receiver->message;
    struct parcel *parcel = &receiver->parcel;
    struct handoff *handoff = &parcel->body.handed.handoff;
    const char *wrong = message->more || message->fd_count != 1
                            ? "it did not pass exactly one descriptor"
                            : handoff_parse(message->bytes, message->length, handoff);
    if (wrong != NULL) {
        parcel_refuse(parcel, DROP_HANDOFF, wrong);
        return;
    }
    wrong = handoff_read(message->fds[0], &handoff->record, &parcel->body.handed.reading);
    if (!may_block)
        client_message_close(message);
    parcel_refuse(parcel, DROP_HANDOFF, wrong);
    parcel->head.kind = PARCEL_HANDOFF;
    parcel->head.length = sizeof parcel->body.handed;
}

static void take_message(struct receiver *receiver, const struct waiting_client *client,
                         bool may_block)
{
    const struct client_message *message = &receiver->message;
    begin_parcel(receiver, &client->who);
    if (message->length == 0 && message->fd_count == 0)
        parcel_refuse(&receiver->parcel, DROP_UNFINISHED, "it hung up without a word");
    else if (handoff_is(message->bytes, message->length))
        take_handoff(receiver, may_block);
    else if (report_ring_is_message(message->bytes, message->length))
        take_attachment(receiver, client);
    else
        take_registration(receiver, client, may_block);
    send_parcel(receiver, client->who.uid);
    if (receiver->parcel.pidfd >= 0)
        (void)close(receiver->parcel.pidfd);
}

/* The end */

static bool is_message_fd(const struct client_message *message, int fd)
{
    for (unsigned i = 0; i < message->fd_count; i++)
        if (message->fds[i] == fd)
            return true;
    return false;
}

/* Closes all other descriptors; those of the message are closed by the end of the process. */
static void close_all_others(const struct client_message *message)
{
    const int end = (int)sysconf(_SC_OPEN_MAX);
    int first = 0;
    for (unsigned i = 0; i < message->fd_count; i++)
        if (message->fds[i] >= first)
            first = message->fds[i] + 1;
    for (int fd = 0; fd < first; fd++)
        if (!is_message_fd(message, fd))
            (void)close(fd);
    if (syscall(SYS_close_range, first, ~0u, 0) != 0)
        for (int fd = first; fd < end; fd++)
            (void)close(fd);
}

/* Coming and going */

static void client_ready(void *context, uint32_t events)
{
    struct waiting_client *client = context;
    struct receiver *receiver = client->receiver;
    struct client_message *message = &receiver->message;
    (void)events;
    begin_work(receiver, client->who.uid);
    if (client_message_receive(client->fd, message) != 0) {
        if (errno != EAGAIN && errno != EINTR) {
            refuse_client(receiver, &client->who, DROP_UNFINISHED, strerror(errno));
            hang_up(client);
        }
        end_work(receiver);
        return;
    }
    bool may_block = client_message_may_block(message);
    take_message(receiver, client, may_block);
    if (may_block) {
        receiver_page_strike(receiver->job.page, client->who.uid, getpid(), now_monotonic());
        close_all_others(message);
        loop_stop(receiver->loop);
        return;
    }
    client_message_close(message);
    hang_up(client);
    end_work(receiver);
}

static void give_up(struct waiting_client *client)
{
    struct receiver *receiver = client->receiver;
    begin_work(receiver, client->who.uid);
    refuse_client(receiver, &client->who, DROP_UNFINISHED, "it connected and sent nothing");
    hang_up(client);
    end_work(receiver);
}

/* Returns a free entry. If there is none, or the user has too many, evicts the client that has
 * waited longest: of this user, or of all. So a silent client keeps nobody out. */
static struct waiting_client *make_place(struct receiver *receiver, uid_t uid)
{
    struct waiting_client *place = NULL, *oldest = NULL, *oldest_own = NULL;
    unsigned own = 0;
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        struct waiting_client *client = &receiver->waiting[i];
        if (client->fd < 0) {
            place = client;
            continue;
        }
        if (oldest == NULL || client->since < oldest->since)
            oldest = client;
        if (client->who.uid != uid)
            continue;
        own++;
        if (oldest_own == NULL || client->since < oldest_own->since)
            oldest_own = client;
    }
    if (own >= USER_WAITING)
        place = oldest_own;
    else if (place == NULL)
        place = oldest;
    if (place->fd >= 0)
        give_up(place);
    return place;
}

static const char *who_connects(const struct receiver *receiver, int fd, struct ucred *who)
{
    socklen_t length = sizeof *who;
    *who = (struct ucred){.uid = (uid_t)-1};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, who, &length) != 0)
        return strerror(errno);
    if (who->uid != 0 && receiver_page_strikes(receiver->job.page, who->uid, now_monotonic()) >=
                             RECEIVER_STRIKES_MAX)
        return "its user has passed too much that may never close";
    return NULL;
}

static void welcome_client(struct receiver *receiver, int fd)
{
    struct ucred who;
    const char *wrong = who_connects(receiver, fd, &who);
    if (wrong != NULL) {
        begin_work(receiver, who.uid);
        refuse_client(receiver, &who, DROP_MESSAGE, wrong);
        deferred_close(fd);
        end_work(receiver);
        return;
    }
    struct waiting_client *client = make_place(receiver, who.uid);
    *client = (struct waiting_client){
        .receiver = receiver, .fd = fd, .who = who, .since = now_monotonic()};
    client->source = loop_watch(receiver->loop, fd, EPOLLIN, client_ready, client);
    if (client->source == NULL)
        hang_up(client);
    else
        client_ready(client, 0); /* mostly it has sent already */
}

static void accept_clients(void *context, uint32_t events)
{
    struct receiver *receiver = context;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE && !loop_is_stopped(receiver->loop); i++) {
        int fd = accept4(receiver->job.listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return; /* on any error the loop calls again while a client waits */
        welcome_client(receiver, fd);
    }
}

static void each_second(void *context)
{
    struct receiver *receiver = context;
    uint64_t now = now_monotonic();
    deferred_close_tick();
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        struct waiting_client *client = &receiver->waiting[i];
        if (client->fd >= 0 && now - client->since >= WAIT_NS)
            give_up(client);
    }
}

void receiver_loop(const struct receiver_job *job)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL)
        return;
    receiver->job = *job;
    receiver->loop = loop_new();
    for (unsigned i = 0; i < WAITING_MAX; i++)
        receiver->waiting[i].fd = -1;
    if (receiver->loop == NULL)
        return;
    receiver->source =
        loop_watch(receiver->loop, job->listening, EPOLLIN, accept_clients, receiver);
    receiver->timer = loop_timer(receiver->loop, SECOND, each_second, receiver);
    if (receiver->source != NULL && receiver->timer != NULL)
        (void)loop_run(receiver->loop);
    /* The process ends. */
}
