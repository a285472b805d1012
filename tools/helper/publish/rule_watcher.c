/* SPDX-License-Identifier: MIT */
#include "rule_watcher.h"
#include "compat.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COMPILER        "socktune-compile"
#define MEMORY_MAX      (256u << 20) /* bytes of address space */
#define DESCRIPTORS_MAX 64u
#define NICENESS        5
#define REPLIES_AT_ONCE 16u
#define REPLIES_MAX     1024u /* per second */

struct rule_watcher {
    struct loop *loop;
    struct loop_source *source;
    struct rule_watcher_events events;
    int pidfd; /* -1: not supported by the kernel */
    int fd;
    unsigned replies; /* in this second */
    bool rests;
};

/* Buffer for one message: there is one thread, and no event handler receives. */
static struct {
    struct rule_watch_reply reply;
    uint8_t policy[RULE_WATCH_ROOM] __attribute__((aligned(8)));
} received;

/* The process */

/* Finds the compiler beside this program (as in a build directory) or where it is installed. */
static bool find_compiler(char path[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof COMPILER);
    char *slash = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
    if (slash != NULL) {
        strcpy(slash + 1, COMPILER);
        if (access(path, X_OK) == 0)
            return true;
    }
    snprintf(path, PATH_MAX, "%s", LIBDIR "/socktune/" COMPILER);
    return access(path, X_OK) == 0;
}

static void limit_resource(enum __rlimit_resource resource, rlim_t most)
{
    (void)setrlimit(resource, &(struct rlimit){most, most});
}

/* Changes to the user and to the group that the program had, without supplementary groups. */
static bool become_user(uid_t uid, gid_t gid)
{
    if (geteuid() != 0)
        return true;
    return setgroups(0, NULL) == 0 && setresgid(gid, gid, gid) == 0 &&
           setresuid(uid, uid, uid) == 0;
}

static void __attribute__((noreturn)) run_compiler(const char *path, int end, uid_t uid, gid_t gid)
{
    const char *const arguments[] = {COMPILER, "--watch", NULL};
    const char *const environment[] = {"SOCKTUNE_DISABLE=1", NULL};
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (null < 0 || dup2(end, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0 || syscall(SYS_close_range, 3, ~0u, 0) != 0 ||
        chdir("/") != 0)
        _exit(EXIT_FAILURE);
    limit_resource(RLIMIT_AS, MEMORY_MAX);
    limit_resource(RLIMIT_NOFILE, DESCRIPTORS_MAX);
    limit_resource(RLIMIT_CORE, 0);
    limit_resource(RLIMIT_FSIZE, 0);
    (void)setpriority(PRIO_PROCESS, 0, NICENESS);
    if (become_user(uid, gid))
        (void)execve(path, (char *const *)arguments, (char *const *)environment);
    _exit(EXIT_FAILURE);
}

/* Kills the process: it ends by itself once its socket is closed, but may hang in a file system.
 * registration_server.c waits for all children. */
static void end_process(int pidfd)
{
    if (pidfd < 0)
        return;
    (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    (void)close(pidfd);
}

/* Messages */

static bool is_proper(const struct rule_watch_reply *reply, size_t size)
{
    return size >= sizeof *reply && reply->size == size - sizeof *reply && reply->size % 8 == 0 &&
           memchr(reply->text, '\0', sizeof reply->text) != NULL &&
           (reply->answer == RULE_WATCH_POLICY) == (reply->size != 0);
}

static void end_talk(struct rule_watcher *watcher)
{
    loop_remove(watcher->loop, watcher->source);
    watcher->source = NULL;
    watcher->events.ended(watcher->events.context);
}

/* Returns 1 if a reply came, 0 if there is none, -1 at the end or for an invalid message. */
static int receive_reply(struct rule_watcher *watcher)
{
    ssize_t size = recv(watcher->fd, &received, sizeof received, MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if ((size_t)size > sizeof received || !is_proper(&received.reply, (size_t)size))
        return -1;
    watcher->replies++;
    watcher->events.replied(watcher->events.context, &received.reply, received.policy);
    return 1;
}

static void take_replies(void *context, uint32_t events)
{
    struct rule_watcher *watcher = context;
    int got = 1;
    (void)events;
    for (unsigned i = 0; i < REPLIES_AT_ONCE && got > 0; i++)
        got = receive_reply(watcher);
    if (got < 0) {
        end_talk(watcher);
    } else if (watcher->replies >= REPLIES_MAX) {
        watcher->rests = true;
        loop_rest(watcher->loop, watcher->source, true);
    }
}

bool rule_watcher_ask(struct rule_watcher *watcher, const struct rule_watch_request *request,
                      size_t size)
{
    size_t length = sizeof *request - sizeof request->names + size;
    return send(watcher->fd, request, length, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)length;
}

void rule_watcher_each_second(struct rule_watcher *watcher)
{
    watcher->replies = 0;
    if (watcher->rests && watcher->source != NULL)
        loop_rest(watcher->loop, watcher->source, false);
    watcher->rests = false;
}

/* Start and stop */

static struct rule_watcher *new_watcher(struct loop *loop, int fd, int pidfd,
                                        const struct rule_watcher_events *events)
{
    struct rule_watcher *watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL)
        return NULL;
    *watcher = (struct rule_watcher){.loop = loop, .events = *events, .pidfd = pidfd, .fd = fd};
    watcher->source = loop_watch(loop, fd, EPOLLIN, take_replies, watcher);
    if (watcher->source != NULL)
        return watcher;
    free(watcher);
    return NULL;
}

struct rule_watcher *rule_watcher_start(struct loop *loop, uid_t uid, gid_t gid,
                                        const struct rule_watcher_events *events)
{
    char path[PATH_MAX];
    struct rule_watcher *watcher;
    pid_t pid;
    int ends[2], pidfd;
    if (!find_compiler(path)) {
        errno = ENOENT;
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return NULL;
    pid = fork();
    if (pid == 0)
        run_compiler(path, ends[1], uid, gid);
    (void)close(ends[1]);
    pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    watcher = pid > 0 ? new_watcher(loop, ends[0], pidfd, events) : NULL;
    if (watcher != NULL)
        return watcher;
    (void)close(ends[0]);
    end_process(pidfd);
    return NULL;
}

void rule_watcher_stop(struct rule_watcher *watcher)
{
    if (watcher == NULL)
        return;
    if (watcher->source != NULL)
        loop_remove(watcher->loop, watcher->source);
    (void)close(watcher->fd);
    end_process(watcher->pidfd);
    free(watcher);
}
