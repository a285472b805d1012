/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: the notification names a thread, a call and its arguments. The thread's
 * program is looked up (supervise_peer.c), and what the arguments point to is read, once. If a rule
 * for that program may concern the call, the socket is duplicated by pidfd_getfd(); then the
 * kernel is asked whether the call still waits (SECCOMP_IOCTL_NOTIF_ID_VALID), for if it does, all
 * that was read came from the thread that waits and not from a later one of the same number. Only
 * then is the socket touched. The duplicate is closed before the call goes on, so the program's own
 * close() is always the last one.
 *
 * A signal may repeat a call and so its notification: everything here may be done twice.
 */
#include "supervise_call.h"
#include "duplicate.h"
#include "kernel.h"
#include "kernel_socket.h"
#include "learn.h"
#include "option.h"
#include "record.h"
#include "supervise_filter.h"
#include "supervise_trace.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIT(phase) PHASE_BIT(PHASE_##phase)

/* A call, with what belongs to it. */
struct handling {
    const struct guide *guide;
    struct peer *peer;
    int listener;
    uint64_t id;
    int fd; /* of the program */
    const char *name;
};

/* --- reading ---------------------------------------------------------------------------------- */

/* Where in the caller's memory the address is that the call names, if it names one. */
struct remote_address {
    uint64_t at;
    uint64_t length;
};

/* Everything that is read of a caller: one address. */
struct seen {
    struct sockaddr_storage address;
    socklen_t length; /* 0: none, or not readable */
};

/* Of a msghdr only the head is wanted. */
union message_head {
    struct {
        uint64_t name;
        uint32_t name_length;
    } own;
    struct {
        uint32_t name;
        uint32_t name_length;
    } compat;
};

static enum peer_step meet_caller(const struct guide *guide, struct peers *peers, pid_t tid,
                                  struct remote_address from, struct seen *seen, struct peer **peer)
{
    size_t got, size = from.length <= sizeof seen->address ? (size_t)from.length : 0;
    enum peer_step step = peer_find(peers, guide, tid, from.at, &seen->address, size, &got, peer);

    seen->length = got == size ? (socklen_t)size : 0;
    return step;
}

/* Unpack the arguments of a packed call. */
static enum peer_step read_arguments(const struct guide *guide, struct peers *peers, pid_t tid,
                                     struct notified_call *call)
{
    uint32_t words[6] = {0};
    struct peer *peer;
    size_t got;
    enum peer_step step =
        peer_find(peers, guide, tid, call->packed, words, sizeof words, &got, &peer);

    /* The shortest call has two; the rest may be behind the end of a page. */
    notified_unpack(call, words);
    return step;
}

static enum peer_step read_message(const struct guide *guide, struct peers *peers, pid_t tid,
                                   const struct notified_call *call, struct remote_address *from)
{
    union message_head head = {0};
    size_t got, size = call->compat ? sizeof head.compat : sizeof head.own;
    struct peer *peer;
    enum peer_step step =
        peer_find(peers, guide, tid, call->arguments[1], &head, size, &got, &peer);

    if (got == size && call->compat)
        *from = (struct remote_address){head.compat.name, head.compat.name_length};
    else if (got == size)
        *from = (struct remote_address){head.own.name, head.own.name_length};
    return step;
}

/* Find the caller, and read the address that the call is about. */
static enum peer_step read_caller(const struct guide *guide, struct peers *peers, pid_t tid,
                                  struct notified_call *call, struct seen *seen, struct peer **peer)
{
    struct remote_address from = {0, 0};
    enum peer_step step = PEER_OK;

    if (call->packed)
        step = read_arguments(guide, peers, tid, call);
    if (call->kind == NOTIFIED_BIND || call->kind == NOTIFIED_CONNECT)
        from = (struct remote_address){call->arguments[1], (uint32_t)call->arguments[2]};
    else if (call->kind == NOTIFIED_SENDTO)
        from = (struct remote_address){call->arguments[4], (uint32_t)call->arguments[5]};
    else if (call->kind == NOTIFIED_SENDMSG && step == PEER_OK)
        step = read_message(guide, peers, tid, call, &from);
    return step == PEER_OK ? meet_caller(guide, peers, tid, from, seen, peer) : step;
}

/* --- the socket ------------------------------------------------------------------------------- */

/* Say that a process is out of reach: once, unless others are meanwhile. */
static void say_refused(pid_t pid, const char *name, int error)
{
    static _Atomic pid_t last;
    struct process process;
    char reason[256];

    if (atomic_exchange(&last, pid) == pid)
        return;
    if (process_identify(pid, &process) == 0)
        refusal_text(&process, error, reason, sizeof reason);
    else
        snprintf(reason, sizeof reason, "%s", strerror(error));
    process_free(&process);
    supervise_say("%s[%d] may not be looked into, and its sockets stay untuned: %s", name, pid,
                  reason);
}

/* A duplicate of the socket, the call still waiting; -1 if not. */
static int borrow_socket(const struct handling *handling)
{
    int fd = peer_borrow(handling->peer, handling->fd);

    if (fd < 0) {
        if (errno != EBADF && errno != ESRCH)
            say_refused(handling->peer->pid, handling->peer->name, errno);
        return -1;
    }
    if (ioctl(handling->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &handling->id) == 0)
        return fd;
    close(fd);
    return -1;
}

/* --- calls ------------------------------------------------------------------------------------ */

static void note_applied(const struct application *application, const struct policy_action *action,
                         enum phase phase, enum applied result, int error)
{
    const struct traced_call *traced = application->context;

    if (traced->peer->reporter)
        reporter_note(traced->peer->reporter, action->option,
                      result == APPLIED_KEPT ? RECORD_KEPT : (unsigned)error);
    if (supervise_tracing())
        supervise_tell(application, action, phase, result, error);
}

/* What is given, by whom, and to which call it belongs. */
static struct application application_of(const struct handling *handling,
                                         const struct socket_handle *socket,
                                         struct sockinfo *sockinfo, struct traced_call *traced)
{
    *traced =
        (struct traced_call){handling->guide->policy, handling->peer, handling->name, handling->fd};
    return (struct application){.policy = handling->guide->policy,
                                .sockinfo = sockinfo,
                                .socket = socket,
                                .report = note_applied,
                                .context = traced};
}

static void apply_to(const struct handling *handling, const struct application *application,
                     struct sockinfo *sockinfo)
{
    struct decision decision;

    learn_decision(application->policy, &handling->peer->active, application->socket, sockinfo,
                   (enum phase)__builtin_ctz(application->phases), application->phases, &decision);
    apply_actions(application, &decision);
}

/* What socket() would have given. False if it is no socket that concerns us. */
static bool make_up_for_socket(const struct handling *handling, int fd)
{
    struct sockinfo sockinfo;
    struct traced_call traced;
    struct application application =
        application_of(handling, KERNEL_SOCKET(fd), &sockinfo, &traced);

    application.phases = BIT(SOCKET);
    application.timing = APPLY_LATE;
    application.defaults = handling->guide->fresh;
    if (!sockinfo_at_socket(&sockinfo, kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN),
                            kernel_get_int(fd, SOL_SOCKET, SO_TYPE),
                            kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL)))
        return false;
    apply_to(handling, &application, &sockinfo);
    return true;
}

static void tune_borrowed(const struct handling *handling, int fd, struct sockinfo *sockinfo,
                          unsigned phases)
{
    struct traced_call traced;
    struct application application = application_of(handling, KERNEL_SOCKET(fd), sockinfo, &traced);

    application.phases = phases;
    application.defaults = handling->peer->defaults;
    if (!(handling->peer->phases & BIT(SOCKET)) || make_up_for_socket(handling, fd))
        apply_to(handling, &application, sockinfo);
}

/* What the call is reported as, if it is: a listener for what it accepts, too. */
static bool is_reported(const struct peer *peer, unsigned phases, enum record_kind *kind)
{
    bool listens = phases & BIT(LISTEN);
    unsigned roles = listens ? ROLE_LISTEN | ROLE_ACCEPT : ROLE_CONNECT;

    *kind = listens ? RECORD_LISTEN : RECORD_CONNECT;
    return peer->reporter && peer->reports & roles && phases & (BIT(LISTEN) | BIT(CONNECT));
}

static void tune(const struct handling *handling, struct sockinfo *sockinfo, unsigned phases)
{
    const struct peer *peer = handling->peer;
    enum record_kind kind;
    bool tuned = peer->phases & (phases | BIT(SOCKET));
    bool reported = is_reported(peer, phases, &kind);
    int fd;

    if (!(tuned || reported) || !(peer->families & sockinfo->families))
        return;
    fd = borrow_socket(handling);
    if (fd < 0)
        return;
    /* A program may call connect() again to learn how the first call ended. */
    if (phases & BIT(CONNECT) && learn_has_connected(KERNEL_SOCKET(fd)))
        tuned = reported = false;
    if (tuned)
        tune_borrowed(handling, fd, sockinfo, phases);
    if (reported)
        reporter_expect(peer->reporter, fd, sockinfo, kind, peer->pid);
    close(fd);
}

static enum verdict handle_address(const struct handling *handling, enum phase phase,
                                   const struct seen *seen)
{
    struct sockinfo sockinfo;

    if (seen->length && sockinfo_at_address(&sockinfo, phase,
                                            (const struct sockaddr *)&seen->address, seen->length))
        tune(handling, &sockinfo, PHASE_BIT(phase));
    return VERDICT_CONTINUE;
}

static enum verdict handle_listen(const struct handling *handling)
{
    struct sockinfo sockinfo;

    sockinfo_at_listen(&sockinfo);
    tune(handling, &sockinfo, BIT(LISTEN));
    return VERDICT_CONTINUE;
}

/* --- setsockopt ------------------------------------------------------------------------------- */

static bool is_number_of(const struct policy_option *option, int level, int optname)
{
    const struct option *row;

    if (option->level != level)
        return false;
    if (option->optname == optname)
        return true;
    row = option_find_number(option->level, option->optname);
    return row && row->other_optname == optname;
}

/* Is the program's own setting of this option to have no effect on this socket? */
static bool is_guarded(const struct handling *handling, int fd, uint32_t option)
{
    struct traced_call traced = {handling->guide->policy, handling->peer, handling->name,
                                 handling->fd};
    struct sockinfo sockinfo;
    bool swallow = learn_guard(handling->guide->policy, &handling->peer->active, KERNEL_SOCKET(fd),
                               option, &sockinfo);

    if (swallow && supervise_tracing())
        supervise_tell_swallowed(&traced, &sockinfo, option);
    return swallow;
}

static enum verdict handle_setsockopt(const struct handling *handling, int level, int optname)
{
    const struct policy *policy = handling->guide->policy;
    bool swallow = false;
    uint32_t option = 0;
    int fd;

    while (option < policy->option_count && !is_number_of(&policy->options[option], level, optname))
        option++;
    if (option == policy->option_count || handling->peer->active.count == 0)
        return VERDICT_CONTINUE;
    fd = borrow_socket(handling);
    if (fd < 0)
        return VERDICT_CONTINUE;
    swallow = is_guarded(handling, fd, option);
    close(fd);
    return swallow ? VERDICT_SUCCESS : VERDICT_CONTINUE;
}

/* --- all of them ------------------------------------------------------------------------------ */

static void warn_of_uring(const struct peer *peer)
{
    supervise_say("%s[%d] uses io_uring: sockets that it connects or makes listen through it are "
                  "not seen; `run --supervise --no-io-uring` makes programs do without",
                  peer->name, peer->pid);
}

static enum verdict dispatch(const struct handling *handling, const struct notified_call *call,
                             const struct seen *seen)
{
    switch (call->kind) {
    case NOTIFIED_BIND:
        return handle_address(handling, PHASE_BIND, seen);
    case NOTIFIED_CONNECT:
    case NOTIFIED_SENDTO:
    case NOTIFIED_SENDMSG:
        return handle_address(handling, PHASE_CONNECT, seen);
    case NOTIFIED_LISTEN:
        return handle_listen(handling);
    case NOTIFIED_SETSOCKOPT:
        return handle_setsockopt(handling, (int)call->arguments[1], (int)call->arguments[2]);
    case NOTIFIED_URING:
        warn_of_uring(handling->peer);
        break;
    case NOTIFIED_COUNT:
        break;
    }
    return VERDICT_CONTINUE;
}

enum verdict handle_call(const struct guide *guide, struct peers *peers, int listener,
                         const struct seccomp_notif *notification)
{
    static const char *const names[NOTIFIED_COUNT] = {
        [NOTIFIED_BIND] = "bind",       [NOTIFIED_CONNECT] = "connect",
        [NOTIFIED_LISTEN] = "listen",   [NOTIFIED_SENDTO] = "sendto",
        [NOTIFIED_SENDMSG] = "sendmsg", [NOTIFIED_SETSOCKOPT] = "setsockopt",
        [NOTIFIED_URING] = "io_uring",
    };
    struct handling handling = {.guide = guide, .listener = listener, .id = notification->id};
    struct notified_call call;
    struct seen seen;
    enum peer_step step;

    if (notified_identify(&notification->data, &call) != 0)
        return VERDICT_CONTINUE;
    step = read_caller(guide, peers, (pid_t)notification->pid, &call, &seen, &handling.peer);
    if (step == PEER_REFUSED)
        say_refused((pid_t)notification->pid, "thread", errno);
    if (step != PEER_OK || !notified_matters(&call))
        return VERDICT_CONTINUE;
    handling.fd = (int)call.arguments[0];
    handling.name = names[call.kind];
    return dispatch(&handling, &call, &seen);
}
