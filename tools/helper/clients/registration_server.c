/* SPDX-License-Identifier: MIT */
/*
 * Messages are taken one at a time. A pending that has connected but not sent waits in
 * `waiting` for WAIT_NS at most; there are few places, and one user has few of these.
 */
#include "registration_server.h"
#include "client_table.h"
#include "clock.h"
#include "compat.h"
#include "deferred_close.h"
#include "kernel.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#define WAITING_MAX    64u
#define USER_WAITING   16u
#define WAIT_NS        (2 * SECOND)
#define ACCEPT_AT_ONCE 32

struct pending_registration {
    struct registration_server *server;
    struct loop_source *source;
    int fd; /* -1: the place is free */
    struct ucred who;
    uint64_t since;
};

struct registration_server {
    struct loop *loop;
    struct client_table *clients;
    struct helper_counts *counts;
    int fd;
    struct loop_source *source;
    struct loop_source *timer;
    struct pending_registration waiting[WAITING_MAX];
};

/* --- what is refused ------------------------------------------------------------------------ */

static void refuse(struct registration_server *server, const struct ucred *who, enum drop what,
                   const char *why)
{
    server->counts->dropped[what]++;
    helper_log_user(LOG_WARNING, who->uid, "%s of process %d of user %u is refused: %s",
                    drop_name(what), (int)who->pid, (unsigned)who->uid, why);
}

static void hang_up(struct pending_registration *pending)
{
    loop_remove(pending->server->loop, pending->source);
    deferred_close(pending->fd);
    pending->fd = -1;
    pending->source = NULL;
}

static const char no_room[] = "its user has registered as many processes as one may";

/* --- the message ---------------------------------------------------------------------------- */

struct parcel {
    char bytes[REGISTRATION_SIZE_MAX];
    size_t length;
    int fds[REGISTRATION_DESCRIPTORS];
    unsigned fd_count;
    bool more; /* other or more ancillary data than these descriptors */
};

static void take_descriptors(struct parcel *parcel, struct msghdr *message)
{
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
            parcel->more = true;
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (parcel->fd_count < REGISTRATION_DESCRIPTORS) {
                parcel->fds[parcel->fd_count++] = fd;
            } else {
                parcel->more = true;
                deferred_close(fd);
            }
        }
    }
}

/* -1 with errno. All descriptors that came are in `parcel`, or closed. */
static int receive(int fd, struct parcel *parcel)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(REGISTRATION_DESCRIPTORS * sizeof(int))];
    } control;
    struct iovec room = {parcel->bytes, sizeof parcel->bytes};
    struct msghdr message = {.msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    parcel->fd_count = 0;
    parcel->more = false;
    if (length < 0)
        return -1;
    parcel->length = (size_t)length;
    take_descriptors(parcel, &message);
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        parcel->more = true;
    return 0;
}

/* The process itself, which its number alone would not tell for long. */
static int pidfd_of(int fd, pid_t pid)
{
    int pidfd = -1;
    socklen_t length = sizeof pidfd;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0)
        return pidfd;
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void drop_descriptors(struct parcel *parcel)
{
    while (parcel->fd_count > 0)
        deferred_close(parcel->fds[--parcel->fd_count]);
}

static const char *take_registration(struct pending_registration *pending, struct parcel *parcel)
{
    struct client_table *registry = pending->server->clients;
    struct registration_names names;
    const char *wrong =
        parcel->more ? "it passed something else than descriptors, or too many"
                     : registration_parse(parcel->bytes, parcel->length, parcel->fd_count, &names);

    if (!wrong && !client_table_has_room(registry, pending->who.uid))
        wrong = no_room;
    if (wrong) {
        drop_descriptors(parcel);
        return wrong;
    }
    if (parcel->fd_count < REGISTRATION_DESCRIPTORS)
        parcel->fds[1] = -1;
    /* A connected Unix socket is in the namespace of the one who connected (unix_stream_connect()
     * in net/unix/af_unix.c). */
    return client_table_add(
        registry,
        &(struct client_identity){pending->who.pid, pending->who.uid,
                                  pidfd_of(pending->fd, pending->who.pid),
                                  kernel_get_cookie(pending->fd, SO_NETNS_COOKIE)},
        &names, parcel->fds);
}

/* The connection is open here no longer than it takes to read it. */
static const char *take_handoff(struct pending_registration *pending, struct parcel *parcel)
{
    static struct handoff_reading handed; /* one thread; too large for the stack's taste */
    struct client_table *registry = pending->server->clients;
    struct handoff handoff;
    const char *wrong = parcel->more || parcel->fd_count != 1
                            ? "it did not pass exactly one descriptor"
                            : handoff_parse(parcel->bytes, parcel->length, &handoff);
    bool parsed = !wrong;

    if (parsed)
        wrong = handoff_read(parcel->fds[0], &handoff.record, &handed);
    drop_descriptors(parcel);
    if (parsed)
        client_table_handoff_done(registry, pending->who.uid, &handoff);
    return wrong ? wrong : client_table_take_handoff(registry, pending->who.uid, &handoff, &handed);
}

static void ready(void *context, uint32_t events)
{
    static struct parcel parcel; /* one thread; too large for the stack's taste */
    struct pending_registration *pending = context;
    enum drop what = DROP_REGISTRATION;
    const char *wrong;

    (void)events;
    if (receive(pending->fd, &parcel) != 0) {
        if (errno == EAGAIN || errno == EINTR)
            return;
        wrong = strerror(errno);
    } else if (parcel.length == 0) {
        drop_descriptors(&parcel);
        wrong = "it hung up without a word";
    } else if (handoff_is(parcel.bytes, parcel.length)) {
        what = DROP_HANDOFF;
        wrong = take_handoff(pending, &parcel);
    } else {
        wrong = take_registration(pending, &parcel);
    }
    if (wrong)
        refuse(pending->server, &pending->who, what, wrong);
    hang_up(pending);
}

/* --- clients -------------------------------------------------------------------------------- */

static struct pending_registration *free_place(struct registration_server *server, uid_t uid)
{
    struct pending_registration *free_one = NULL;
    unsigned own = 0;

    for (unsigned i = 0; i < WAITING_MAX; i++) {
        struct pending_registration *pending = &server->waiting[i];

        if (pending->fd < 0)
            free_one = pending;
        else
            own += pending->who.uid == uid;
    }
    return own < USER_WAITING || uid == 0 ? free_one : NULL;
}

static void welcome(struct registration_server *server, int fd)
{
    struct pending_registration *pending;
    struct ucred who = {.pid = 0, .uid = (uid_t)-1};
    socklen_t length = sizeof who;
    const char *wrong = NULL;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
        wrong = strerror(errno);
    pending = wrong ? NULL : free_place(server, who.uid);
    if (!pending) {
        refuse(server, &who, DROP_REGISTRATION,
               wrong ? wrong : "too many others have connected and sent nothing");
        deferred_close(fd);
        return;
    }
    *pending = (struct pending_registration){
        .server = server, .fd = fd, .who = who, .since = now_monotonic()};
    pending->source = loop_watch(server->loop, fd, EPOLLIN, ready, pending);
    if (!pending->source)
        hang_up(pending);
    else
        ready(pending, 0); /* it has mostly sent by now */
}

static void knock(void *context, uint32_t events)
{
    struct registration_server *server = context;

    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        welcome(server, fd);
    }
}

static void tick(void *context)
{
    struct registration_server *server = context;
    uint64_t now = now_monotonic();

    deferred_close_tick();
    for (unsigned i = 0; i < WAITING_MAX; i++) {
        struct pending_registration *pending = &server->waiting[i];

        if (pending->fd < 0 || now - pending->since < WAIT_NS)
            continue;
        refuse(server, &pending->who, DROP_REGISTRATION, "it connected and sent nothing");
        hang_up(pending);
    }
}

struct registration_server *registration_start(struct loop *loop, struct client_table *clients,
                                               struct helper_counts *counts, int fd)
{
    struct registration_server *server = calloc(1, sizeof *server);

    if (!server) {
        (void)close(fd);
        return NULL;
    }
    server->loop = loop;
    server->clients = clients;
    server->counts = counts;
    server->fd = fd;
    for (unsigned i = 0; i < WAITING_MAX; i++)
        server->waiting[i].fd = -1;
    server->source = loop_watch(loop, fd, EPOLLIN, knock, server);
    server->timer = loop_timer(loop, SECOND, tick, server);
    if (!server->source || !server->timer) {
        helper_log(LOG_ERR, "the registration socket cannot be watched: %s", strerror(errno));
        registration_stop(server);
        return NULL;
    }
    return server;
}

void registration_stop(struct registration_server *server)
{
    if (!server)
        return;
    for (unsigned i = 0; i < WAITING_MAX; i++)
        if (server->waiting[i].fd >= 0)
            hang_up(&server->waiting[i]);
    loop_remove(server->loop, server->source);
    loop_remove(server->loop, server->timer);
    (void)close(server->fd);
    free(server);
}
