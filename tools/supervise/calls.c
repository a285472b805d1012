/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: the notification names a thread, a call and its arguments. The thread's
 * program is looked up (target.c), and what the arguments point to is read, once. If a rule for
 * that program may concern the call, the socket is duplicated by pidfd_getfd(); then the kernel is
 * asked whether the call still waits (SECCOMP_IOCTL_NOTIF_ID_VALID). If it does, all that was read
 * came from the thread that waits and not from a later one of the same number. Only then is the
 * socket touched. The duplicate is closed before the call goes on, so the program's own close() is
 * always the last one.
 *
 * accept() is not notified: accepting in the supervisor would lose connections, and the socket does
 * not exist yet while the call waits. An accepted socket is given its options at the first notified
 * call that names it: epoll_ctl(), setsockopt(TCP_NODELAY), or the setsockopt of an option that the
 * rules give at accept(). So what the program sets later still wins.
 */
#include "calls.h"
#include "call_socket.h"
#include "compat.h"
#include "duplicate.h"
#include "kernel.h"
#include "kernel_socket.h"
#include "learn.h"
#include "messages.h"
#include "notify_filter.h"
#include "option.h"
#include "record.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BIT(phase) PHASE_BIT(PHASE_##phase)

/* A call, with what belongs to its notification. */
struct handling {
    const struct call_service *service;
    struct call_context call;
    uint64_t id;
};

/* Reading */

/* Where in the caller's memory lies what the call points to. */
struct remote_memory {
    uint64_t at;
    uint64_t length;
};

/* What is read of a caller: an address, or the value of an option. */
struct call_data {
    struct sockaddr_storage bytes;
    socklen_t length; /* 0: none, or not readable */
};

/* Of a msghdr, with which a mmsghdr begins, only the head is wanted. */
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

/* Read memory of the caller and release it again. */
static enum target_result read_memory(const struct target_context *context, pid_t tid,
                                      uint64_t address, void *buffer, size_t size, size_t *got)
{
    struct target *target;
    enum target_result result = target_find(context, tid, address, buffer, size, got, &target);
    if (result == TARGET_FOUND)
        target_release(target);
    return result;
}

/* Unpack the arguments of a packed call. */
static enum target_result read_arguments(const struct target_context *context, pid_t tid,
                                         struct notified_call *call)
{
    uint32_t words[6] = {0};
    size_t got;
    enum target_result result = read_memory(context, tid, call->packed, words, sizeof words, &got);
    /* The shortest call has two; the rest may be behind the end of a page. */
    notified_unpack(call, words);
    return result;
}

static enum target_result read_message(const struct target_context *context, pid_t tid,
                                       const struct notified_call *call, struct remote_memory *from)
{
    union message_head head = {0};
    size_t got, size = call->compat ? sizeof head.compat : sizeof head.own;
    enum target_result result = read_memory(context, tid, call->arguments[1], &head, size, &got);
    if (got == size && call->compat)
        *from = (struct remote_memory){head.compat.name, head.compat.name_length};
    else if (got == size)
        *from = (struct remote_memory){head.own.name, head.own.name_length};
    return result;
}

/* An option's value may be longer than what is read; then its head is enough. */
static struct remote_memory option_value(const struct notified_call *call)
{
    int32_t length = (int32_t)call->arguments[4];
    return (struct remote_memory){call->arguments[3], length <= 0   ? 0
                                                      : length > 16 ? 16
                                                                    : (uint64_t)length};
}

/* Find the caller, and read what the call points to. */
static enum target_result read_caller(const struct target_context *context, pid_t tid,
                                      struct notified_call *call, struct call_data *data,
                                      struct target **target)
{
    struct remote_memory from = {0, 0};
    enum target_result result = TARGET_FOUND;
    size_t got, size;
    if (call->packed != 0)
        result = read_arguments(context, tid, call);
    if (call->kind == NOTIFIED_BIND || call->kind == NOTIFIED_CONNECT)
        from = (struct remote_memory){call->arguments[1], (uint32_t)call->arguments[2]};
    else if (call->kind == NOTIFIED_SENDTO)
        from = (struct remote_memory){call->arguments[4], (uint32_t)call->arguments[5]};
    else if (call->kind == NOTIFIED_SETSOCKOPT)
        from = option_value(call);
    else if ((call->kind == NOTIFIED_SENDMSG || call->kind == NOTIFIED_SENDMMSG) &&
             result == TARGET_FOUND)
        result = read_message(context, tid, call, &from);
    if (result != TARGET_FOUND)
        return result;
    size = from.length <= sizeof data->bytes ? (size_t)from.length : 0;
    result = target_find(context, tid, from.at, &data->bytes, size, &got, target);
    data->length = got == size ? (socklen_t)size : 0;
    return result;
}

/* The socket */

/* Report that a process is out of reach. */
static void report_refusal(pid_t pid, const char *name, int error)
{
    struct process process;
    char reason[256];
    if (process_identify(pid, &process) == 0)
        refusal_text(&process, error, reason, sizeof reason);
    else
        snprintf(reason, sizeof reason, "%s", strerror(error));
    message_print_limited("%s[%d] may not be looked into, and its sockets stay untuned: %s",
                          process.name[0] != '\0' ? process.name : name, pid, reason);
    process_free(&process);
}

/* A duplicate of the socket, the call still waiting; -1 if not. */
static int duplicate_waiting(const struct handling *handling)
{
    struct target *target = handling->call.target;
    int fd = target_duplicate(target, handling->call.fd);
    if (fd < 0) {
        int error = errno;
        if (error != EBADF && error != ESRCH &&
            target_warns_first(target->program, TARGET_WARNED_REFUSED))
            report_refusal(target->pid, target->program->name, error);
        return -1;
    }
    if (ioctl(handling->service->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &handling->id) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Calls */

/* What the call is reported as, if it is: a listener for what it accepts, too. */
static bool is_reported(const struct target_program *program, unsigned phases,
                        enum record_kind *kind)
{
    bool listens = (phases & BIT(LISTEN)) != 0;
    unsigned roles = listens ? ROLE_LISTEN | ROLE_ACCEPT : ROLE_CONNECT;
    *kind = listens ? RECORD_LISTEN : RECORD_CONNECT;
    return program->reporter != NULL && (program->reports & roles) != 0 &&
           (phases & (BIT(LISTEN) | BIT(CONNECT))) != 0;
}

/* A call of listen(). */
struct listening {
    int backlog; /* as the program passes it */
    bool done;   /* called with the rule's backlog, on the duplicate */
};

/* The kernel would take the program's own backlog when its call goes on, so the call is made here.
 * What the kernel refuses it is to refuse to the program. */
static void listen_instead(const struct handling *handling, int fd, struct sockinfo *sockinfo,
                           struct listening *listening)
{
    int wanted = call_backlog(&handling->call, KERNEL_SOCKET(fd), sockinfo, listening->backlog);
    listening->done = wanted != listening->backlog && listen(fd, wanted) == 0;
}

/* Returns 0, or the errno with which the call must fail. `listening`: NULL for other calls. */
static int tune_and_report(const struct handling *handling, struct sockinfo *sockinfo,
                           unsigned phases, struct listening *listening)
{
    const struct target_program *program = handling->call.target->program;
    enum record_kind kind;
    bool tuned = (program->phases & (phases | BIT(SOCKET))) != 0;
    bool reported = is_reported(program, phases, &kind);
    int fd, failure = 0;
    if (!(tuned || reported) || (program->families & sockinfo->families) == 0)
        return 0;
    fd = duplicate_waiting(handling);
    if (fd < 0)
        return 0;
    /* A program may call connect() again to learn how the first call ended. */
    if ((phases & BIT(CONNECT)) != 0 && learn_has_connected(KERNEL_SOCKET(fd)))
        tuned = reported = false;
    if (reported && kind == RECORD_CONNECT)
        reporter_moment(program->reporter, sockinfo);
    if ((phases & BIT(LISTEN)) != 0 && program->falls_back &&
        kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP)
        handling->service->treated->multipath = true;
    if (tuned)
        failure = call_tune(&handling->call, KERNEL_SOCKET(fd), sockinfo, phases);
    if (tuned && failure == 0 && listening != NULL)
        listen_instead(handling, fd, sockinfo, listening);
    if (reported && failure == 0)
        reporter_expect(program->reporter, fd, sockinfo, kind, handling->call.target->pid);
    close(fd);
    return failure;
}

static int handle_address(const struct handling *handling, enum phase phase,
                          const struct call_data *data)
{
    struct sockinfo sockinfo;
    int failure = 0;
    if (data->length != 0 &&
        sockinfo_at_address(&sockinfo, phase, (const struct sockaddr *)&data->bytes, data->length))
        failure = tune_and_report(handling, &sockinfo, PHASE_BIT(phase), NULL);
    return failure != 0 ? failure : VERDICT_CONTINUE;
}

static int handle_listen(const struct handling *handling, const struct notified_call *call)
{
    struct listening listening = {.backlog = (int)call->arguments[1]};
    struct sockinfo sockinfo;
    int failure;
    sockinfo_at_listen(&sockinfo);
    failure = tune_and_report(handling, &sockinfo, BIT(LISTEN), &listening);
    if (failure != 0)
        return failure;
    return listening.done ? VERDICT_SUCCESS : VERDICT_CONTINUE;
}

/* Accepted sockets */

/* May there be something to make up for on plain TCP sockets that a listener of MPTCP accepted? */
static bool falls_back(const struct handling *handling)
{
    return handling->call.target->program->falls_back && handling->service->treated->multipath;
}

static bool tunes_accepted(const struct handling *handling)
{
    const struct target_program *program = handling->call.target->program;
    return ((program->phases & CALL_ACCEPT_PHASES) != 0 && (program->roles & ROLE_ACCEPT) != 0) ||
           falls_back(handling);
}

/* Give an accepted socket its options. One that takes part in a trial must be reported as what it
 * was when its arm was decided. */
static void tune_accepted(const struct handling *handling, int fd)
{
    const struct target_program *program = handling->call.target->program;
    struct sockinfo sockinfo;
    sockinfo_at_accept(&sockinfo);
    if (program->reporter != NULL && (program->reports & ROLE_ACCEPT) != 0)
        reporter_moment(program->reporter, &sockinfo);
    if ((sockinfo.known & FACT_MOMENT) != 0 &&
        !reporter_expect(program->reporter, fd, &sockinfo, RECORD_ACCEPT,
                         handling->call.target->pid))
        sockinfo.known &= (uint8_t)~FACT_MOMENT;
    if (falls_back(handling) && kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP)
        call_tune_fallen_back(&handling->call, KERNEL_SOCKET(fd));
    call_tune_accepted(&handling->call, KERNEL_SOCKET(fd), &sockinfo);
}

/* The first call that names an accepted socket gives it its options. */
static void treat_accepted(const struct handling *handling, int fd)
{
    struct treated_sockets *treated = handling->service->treated;
    uint64_t cookie;
    if (!tunes_accepted(handling))
        return;
    cookie = kernel_get_cookie(fd, SO_COOKIE);
    if (treated_sockets_has(treated, cookie) || !call_is_accepted(KERNEL_SOCKET(fd)) ||
        !treated_sockets_begin(treated, cookie))
        return;
    tune_accepted(handling, fd);
    treated_sockets_end(treated, cookie);
}

static int handle_epoll(const struct handling *handling)
{
    int fd;
    if (!tunes_accepted(handling))
        return VERDICT_CONTINUE;
    fd = duplicate_waiting(handling);
    if (fd < 0)
        return VERDICT_CONTINUE;
    treat_accepted(handling, fd);
    close(fd);
    return VERDICT_CONTINUE;
}

/* Setsockopt */

/* What cannot be read is left to the kernel to refuse. */
static int handle_setsockopt(const struct handling *handling, const struct notified_call *call,
                             const struct call_data *data)
{
    const struct call_setting setting = {(int)call->arguments[1], (int)call->arguments[2],
                                         &data->bytes, data->length};
    bool readable = data->length != 0 || (int)call->arguments[4] == 0;
    bool swallow;
    int fd;
    if (handling->call.target->program->active.count == 0)
        return VERDICT_CONTINUE;
    fd = duplicate_waiting(handling);
    if (fd < 0)
        return VERDICT_CONTINUE;
    treat_accepted(handling, fd);
    swallow = readable && call_set_option(&handling->call, KERNEL_SOCKET(fd), &setting);
    close(fd);
    return swallow ? VERDICT_SUCCESS : VERDICT_CONTINUE;
}

/* All of them */

static void warn_of_uring(const struct target *target)
{
    if (target->program->active.count != 0 &&
        target_warns_first(target->program, TARGET_WARNED_URING))
        message_print("%s[%d] uses io_uring: sockets that it connects or makes listen through it "
                      "are not seen; `run --supervise --no-io-uring` makes programs do without",
                      target->program->name, target->pid);
}

static int dispatch_call(const struct handling *handling, const struct notified_call *call,
                         const struct call_data *data)
{
    switch (call->kind) {
    case NOTIFIED_BIND:
        return handle_address(handling, PHASE_BIND, data);
    case NOTIFIED_CONNECT:
    case NOTIFIED_SENDTO:
    case NOTIFIED_SENDMSG:
    case NOTIFIED_SENDMMSG:
        return handle_address(handling, PHASE_CONNECT, data);
    case NOTIFIED_LISTEN:
        return handle_listen(handling, call);
    case NOTIFIED_SETSOCKOPT:
        return handle_setsockopt(handling, call, data);
    case NOTIFIED_EPOLL:
        return handle_epoll(handling);
    case NOTIFIED_URING:
        warn_of_uring(handling->call.target);
        break;
    case NOTIFIED_COUNT:
        break;
    }
    return VERDICT_CONTINUE;
}

int handle_call(const struct call_service *service, const struct seccomp_notif *notification)
{
    struct handling handling = {.service = service, .id = notification->id};
    struct notified_call call;
    struct call_data data;
    enum target_result result;
    int verdict = VERDICT_CONTINUE;
    if (notified_identify(&notification->data, &call) != 0)
        return VERDICT_CONTINUE;
    handling.call.context = &service->context;
    result = read_caller(&service->context, (pid_t)notification->pid, &call, &data,
                         &handling.call.target);
    if (result == TARGET_REFUSED)
        report_refusal((pid_t)notification->pid, "thread", errno);
    if (result != TARGET_FOUND)
        return VERDICT_CONTINUE;
    handling.call.fd = (int)call.arguments[call.kind == NOTIFIED_EPOLL ? 2 : 0];
    handling.call.name = notified_name(call.kind);
    if (notified_matters(&call))
        verdict = dispatch_call(&handling, &call, &data);
    target_release(handling.call.target);
    return verdict;
}
