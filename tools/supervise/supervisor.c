/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation.
 *
 * The process that the user started becomes the program, by execve(): so its number, parent,
 * terminal, process group, signals and exit status are the program's own, and nothing is forwarded
 * or translated. Before that it starts the supervisor, which leaves the session, is adopted by init
 * and keeps no descriptor of the program's, so that no pipe or socket is held open by it; standard
 * error it keeps for messages as long as the program's first process lives, unless that is a
 * socket other than the journal's.
 *
 * If nobody holds the descriptor of notifications any more, notified calls answer ENOSYS for ever.
 * So there are two processes that hold it: the server, whose threads answer, and the standby, which
 * does nothing but watch the server. When the server dies, the standby answers the calls that the
 * server was about to answer (they are reported in shared memory), becomes the server and starts a
 * new standby. When the standby dies, the server starts another one. Both end when no process is
 * left that the filter concerns, which the descriptor tells (POLLHUP). The standby bears another
 * name, so that whoever kills all processes of the command's name leaves it to take over.
 *
 * Each thread of the server receives, handles and answers one call at a time. When the last idle
 * thread has received a call, another thread is started, so that a call never waits for the slow
 * steps of others. A thread ends when enough others are idle.
 */
#include "supervisor.h"
#include "call_trace.h"
#include "calls.h"
#include "compat.h"
#include "connection_reports.h"
#include "messages.h"
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* include/uapi/linux/seccomp.h, Linux 6.6 */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS      SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* A worker ends when so many others wait for calls. */
enum {
    WORKERS_FIRST = 4,
    IDLE_MAX = 8,
    WORKERS_MAX = 64,
    WORKER_STACK = 256 << 10,
    SLOT_BYTES = 256
};

/* Descriptors of the supervisor, at fixed numbers, so that all others can be closed. */
enum { FD_LISTENER = 3, FD_PROGRAM, FD_PARTNER, FD_FIRST_OTHER };

/* A notification in the making: what the kernel writes (80 bytes so far). Shared by both processes,
 * so that the standby knows what its predecessor left unanswered. */
struct slot {
    _Alignas(64) union {
        struct seccomp_notif notification;
        unsigned char room[SLOT_BYTES];
    };
};

struct supervisor {
    struct call_service service;
    struct slot *slots;            /* WORKERS_MAX, shared memory */
    atomic_bool busy[WORKERS_MAX]; /* a worker has this slot */
    atomic_int idle;
    atomic_int workers;
};

static struct supervisor server;

/* Answering */

/* `verdict`: as handle_call() returns it. */
static void answer_call(uint64_t id, int verdict)
{
    union {
        struct seccomp_notif_resp response;
        unsigned char room[SLOT_BYTES];
    } message;

    memset(&message, 0, sizeof message);
    message.response.id = id;
    message.response.error = verdict > 0 ? -verdict : 0;
    message.response.flags = verdict == VERDICT_CONTINUE ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
    /* ENOENT: a signal has ended the call meanwhile. */
    while (ioctl(FD_LISTENER, SECCOMP_IOCTL_NOTIF_SEND, &message) != 0 && errno == EINTR)
        ;
}

static void start_worker(void);

/* Receive into the slot. False if there was nothing, after all. */
static bool receive_call(struct slot *slot)
{
    int failed;
    memset(slot, 0, sizeof *slot); /* the kernel insists on it */
    atomic_fetch_add(&server.idle, 1);
    failed = ioctl(FD_LISTENER, SECCOMP_IOCTL_NOTIF_RECV, slot);
    if (atomic_fetch_sub(&server.idle, 1) == 1)
        start_worker();
    return failed == 0;
}

static void *run_worker(void *context)
{
    struct slot *slot = context;
    do {
        if (receive_call(slot))
            answer_call(slot->notification.id, handle_call(&server.service, &slot->notification));
    } while (atomic_load(&server.idle) < IDLE_MAX);
    memset(slot, 0, sizeof *slot);
    atomic_store(&server.busy[slot - server.slots], false);
    atomic_fetch_sub(&server.workers, 1);
    return NULL;
}

/* A slot that no worker has, or NULL. */
static struct slot *take_slot(void)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        if (!atomic_exchange(&server.busy[i], true))
            return &server.slots[i];
    return NULL;
}

static void start_worker(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    struct slot *slot = take_slot();
    if (slot == NULL)
        return;
    atomic_fetch_add(&server.workers, 1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, WORKER_STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, run_worker, slot) != 0) {
        atomic_store(&server.busy[slot - server.slots], false);
        atomic_fetch_sub(&server.workers, 1);
    }
    pthread_attr_destroy(&attributes);
}

/* Let go on what the predecessor was about to answer. */
static void answer_for_predecessor(void)
{
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        if (server.slots[i].notification.id)
            answer_call(server.slots[i].notification.id, VERDICT_CONTINUE);
}

/* Names */

#define TITLE_BYTES 4096

/* As ps(1) shows the process: its name, and its command line, which lies where it was started with
 * (proc_pid_cmdline(5)). */
static struct title {
    char name[16];
    char line[TITLE_BYTES];
    size_t size;
} own_title;

static void note_title(struct title *title)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, title->line, sizeof title->line);
    title->size = size > 0 ? (size_t)size : 0;
    prctl(PR_GET_NAME, title->name);
    if (fd >= 0)
        close(fd);
}

static void set_title(const struct title *title)
{
    prctl(PR_SET_NAME, title->name);
    memcpy(program_invocation_name, title->line, title->size);
}

static void set_standby_title(void)
{
    struct title title = {.name = "standby", .line = "standby of a supervisor"};
    title.size = own_title.size;
    set_title(&title);
}

/* Two processes */

static void serve_calls(void) __attribute__((noreturn));

static int pidfd_of(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void keep_as(int fd, int number)
{
    if (fd == number)
        return;
    dup3(fd, number, O_CLOEXEC);
    close(fd);
}

/* The program may be waiting for the end of what its first process wrote. */
static void drop_standard_error(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        close(STDERR_FILENO);
    else
        dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        close(null);
    close(FD_PROGRAM);
}

/* Wait until the partner dies. Ends the process when nobody is left to serve. */
static void watch_partner(void)
{
    struct pollfd watched[] = {{.fd = FD_LISTENER},
                               {.fd = FD_PARTNER, .events = POLLIN},
                               {.fd = FD_PROGRAM, .events = POLLIN}};
    for (;;) {
        if (poll(watched, 3, -1) < 0)
            continue;
        if (watched[0].revents & (POLLHUP | POLLERR | POLLNVAL)) {
            reports_finish();
            _exit(0);
        }
        if (watched[2].revents) {
            drop_standard_error();
            watched[2].fd = -1;
        }
        if (watched[1].revents)
            return;
    }
}

/* The standby: a child of the server, which may have threads that are lost here. */
static void stand_by(void)
{
    close_range(FD_FIRST_OTHER, ~0u, 0);
    reports_forget();
    targets_forget();
    treated_sockets_fork();
    set_standby_title();
    watch_partner();
    set_title(&own_title);
    message_print("the supervisor has died; another one takes over");
    answer_for_predecessor();
    memset(server.slots, 0, WORKERS_MAX * sizeof *server.slots);
    serve_calls();
}

/* Start a standby. The partner's descriptor is, for either process, that of the other one. */
static pid_t start_standby(void)
{
    int self = pidfd_of(getpid());
    pid_t child;
    if (self < 0)
        return -1;
    keep_as(self, FD_PARTNER);
    child = fork();
    if (child == 0)
        stand_by();
    if (child > 0)
        keep_as(pidfd_of(child), FD_PARTNER);
    return child;
}

/* False if not one thread can be started. */
static bool run_workers(void)
{
    atomic_store(&server.idle, 0);
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        atomic_store(&server.busy[i], false);
    atomic_store(&server.workers, 0);
    reports_start(server.service.context.policy);
    for (int i = 0; i < WORKERS_FIRST; i++)
        start_worker();
    return atomic_load(&server.workers) > 0;
}

/* Serve for ever, with somebody standing by. */
static void watch_standby(pid_t standby)
{
    for (;;) {
        watch_partner();
        waitpid(standby, NULL, 0);
        standby = start_standby();
        if (standby < 0) {
            message_print("no process can be started to stand by: %s", strerror(errno));
            sleep(1);
        }
    }
}

static void serve_calls(void)
{
    pid_t standby = start_standby();
    while (!run_workers()) {
        message_print("no thread can be started, and calls wait: %s", strerror(EAGAIN));
        sleep(1);
    }
    watch_standby(standby);
    _exit(1);
}

/* Starting */

/* Signals that are meant for the program, or for all processes of a service, end no supervisor: it
 * ends by itself after them. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGALRM,
                                  SIGUSR1, SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
    sigset_t none;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Leave the program's session, directory and descriptors. */
static void detach_from_program(int link)
{
    struct rlimit files;
    int null;
    setsid();
    if (chdir("/") != 0)
        message_print("cannot leave the directory: %s", strerror(errno));
    ignore_signals();
    keep_as(fcntl(link, F_DUPFD_CLOEXEC, FD_FIRST_OTHER), FD_FIRST_OTHER);
    null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (!messages_fit())
        dup2(null, STDERR_FILENO);
    close_range(FD_LISTENER, FD_FIRST_OTHER - 1, 0);
    close_range(FD_FIRST_OTHER + 1, ~0u, 0);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* The descriptor of notifications, from the process that becomes the program. */
static int receive_listener(int link)
{
    char byte;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int fd = -1;

    if (recvmsg(link, &message, MSG_CMSG_CLOEXEC) != 1)
        return -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

static int prepare_server(const struct policy *policy, const struct program *program)
{
    struct seccomp_notif_sizes sizes;
    const struct default_value *defaults = target_kernel_defaults(policy);
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) != 0)
        return -1;
    if (sizes.seccomp_notif > SLOT_BYTES || sizes.seccomp_notif_resp > SLOT_BYTES) {
        errno = EOVERFLOW;
        return -1;
    }
    server.slots = mmap(NULL, WORKERS_MAX * sizeof *server.slots, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (server.slots == MAP_FAILED || defaults == NULL)
        return -1;
    server.service = (struct call_service){
        .context = {policy, defaults}, .treated = treated_sockets_make(), .listener = FD_LISTENER};
    if (server.service.treated == NULL)
        return -1;
    server.service.treated->multipath = program->multipath;
    return 0;
}

/* The first server. Tells its process number once it answers calls. */
static void run_first_server(const struct program *program, pid_t pid, int link)
{
    const uint64_t flags = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;
    pid_t self = getpid(), standby;
    int listener;
    reports_note_opened();
    detach_from_program(link);
    note_title(&own_title);
    keep_as(pidfd_of(pid), FD_PROGRAM);
    listener = receive_listener(FD_FIRST_OTHER);
    if (listener < 0)
        _exit(1);
    keep_as(listener, FD_LISTENER);
    ioctl(FD_LISTENER, SECCOMP_IOCTL_NOTIF_SET_FLAGS, flags);
    standby = start_standby();
    if (!run_workers())
        _exit(1);
    reports_inherited(program->name, &program->active, pid);
    if (write(FD_FIRST_OTHER, &self, sizeof self) != (ssize_t)sizeof self)
        _exit(1);
    close(FD_FIRST_OTHER);
    watch_standby(standby);
}

int supervisor_start(const struct policy *policy, const struct program *program, const char *trace,
                     struct supervisor_link *link)
{
    pid_t self = getpid(), child;
    int pair[2];
    call_trace_to(trace);
    if (prepare_server(policy, program) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    child = fork();
    if (child == 0) {
        if (fork() == 0)
            run_first_server(program, self, pair[1]);
        _exit(0);
    }
    close(pair[1]);
    link->socket = pair[0];
    if (child < 0)
        return -1;
    waitpid(child, NULL, 0); /* fails where SIGCHLD is ignored, but not before it has ended */
    return 0;
}

static int send_listener(int link, int listener)
{
    char byte = 0;
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof listener);
    memcpy(CMSG_DATA(header), &listener, sizeof listener);
    return sendmsg(link, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

int supervisor_hand_over(struct supervisor_link *link, int listener)
{
    pid_t supervisor;
    int failed = send_listener(link->socket, listener);
    close(listener);
    if (!failed &&
        read(link->socket, &supervisor, sizeof supervisor) != (ssize_t)sizeof supervisor) {
        errno = ECONNRESET;
        failed = -1;
    }
    close(link->socket);
    /* Where Yama restricts ptrace (kernel.yama.ptrace_scope = 1), this lets the supervisor at this
     * process, execve() and threads included. Other kernels answer EINVAL. */
    if (!failed)
        prctl(PR_SET_PTRACER, (unsigned long)supervisor, 0, 0, 0);
    return failed;
}
