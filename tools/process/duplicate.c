/* SPDX-License-Identifier: MIT */
/*
 * pidfd_open(2), pidfd_getfd(2), and what they refuse.
 */
#include "duplicate.h"
#include "compat.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int socket_owner_open(pid_t pid, struct socket_owner *owner)
{
    char path[64];
    struct stat status;
    const pid_t thread = process_live_thread(pid);
    *owner = (struct socket_owner){
        .pid = pid,
        .pidfd = (int)syscall(SYS_pidfd_open, thread, thread == pid ? 0 : PIDFD_THREAD)};
    if (owner->pidfd < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/%d/ns/net", thread);
    if (stat(path, &status) == 0)
        owner->network = status.st_ino;
    return 0;
}

void socket_owner_close(struct socket_owner *owner)
{
    if (owner->pidfd >= 0)
        close(owner->pidfd);
    owner->pidfd = -1;
}

static int duplicate_descriptor(const struct socket_owner *owner, const struct open_socket *socket)
{
    int fd = (int)syscall(SYS_pidfd_getfd, owner->pidfd, socket->fd, 0);
    struct stat status;
    if (fd < 0)
        return -1;
    if (fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) && status.st_ino == socket->inode)
        return fd;
    close(fd);
    errno = EBADF;
    return -1;
}

int socket_duplicate(const struct socket_owner *owner, const struct open_socket *sockets,
                     size_t count)
{
    int fd = -1;
    for (size_t i = 0; i < count && fd < 0; i++) {
        fd = duplicate_descriptor(owner, &sockets[i]);
        if (fd < 0 && errno != EBADF)
            break;
    }
    return fd;
}

bool is_gone(int error)
{
    return error == EBADF || error == ESRCH || error == ENOENT;
}

/* Refusals */

static const char *user_name(uid_t uid, char text[64])
{
    const struct passwd *user = getpwuid(uid);
    if (user != NULL)
        snprintf(text, 64, "%s", user->pw_name);
    else
        snprintf(text, 64, "user %u", (unsigned)uid);
    return text;
}

/* The files of a process that is not dumpable belong to root, not to its user: proc(5). */
static bool is_dumpable(const struct process *process)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/status", process->pid);
    return stat(path, &status) != 0 || status.st_uid == process->effective_uid;
}

/* /proc/sys/kernel/yama/ptrace_scope; 0 where there is no Yama. */
static int ptrace_scope(void)
{
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    int scope = 0;
    if (file != NULL) {
        if (fscanf(file, "%d", &scope) != 1)
            scope = 0;
        fclose(file);
    }
    return scope;
}

void refusal_reason(const struct refusal *refusal, char *text, size_t size)
{
    int error = refusal->error, scope = refusal->ptrace_scope;
    if (error == ENOSYS)
        snprintf(text, size, "this kernel has no pidfd_getfd: it takes Linux 5.6");
    else if (error != EPERM && error != EACCES)
        snprintf(text, size, "%s", strerror(error));
    else if (scope >= 3)
        snprintf(text, size,
                 "kernel.yama.ptrace_scope is 3: nobody may look into processes until "
                 "the next boot");
    else if (refusal->root)
        snprintf(text, size,
                 "this root may not look into it: that takes CAP_SYS_PTRACE in its "
                 "user namespace, and no seccomp filter or security module against it");
    else if (refusal->user != NULL)
        snprintf(text, size, "it is run by %s: be that user, or root (CAP_SYS_PTRACE)",
                 refusal->user);
    else if (!refusal->dumpable)
        snprintf(text, size,
                 "it is not dumpable (it gained or gave up privileges, or called "
                 "prctl(PR_SET_DUMPABLE)): that takes root (CAP_SYS_PTRACE)");
    else if (scope > 0)
        snprintf(text, size,
                 "kernel.yama.ptrace_scope is %d: that takes root (CAP_SYS_PTRACE), or "
                 "sysctl kernel.yama.ptrace_scope=0",
                 scope);
    else
        snprintf(text, size,
                 "it has other groups or capabilities than you, or a security module "
                 "forbids it: that takes root (CAP_SYS_PTRACE)");
}

void refusal_text(const struct process *process, int error, char *text, size_t size)
{
    char name[64];
    bool foreign = process->real_uid != getuid() || process->effective_uid != getuid();
    const struct refusal refusal = {.error = error,
                                    .ptrace_scope = ptrace_scope(),
                                    .root = geteuid() == 0,
                                    .user =
                                        foreign ? user_name(process->effective_uid, name) : NULL,
                                    .dumpable = is_dumpable(process)};
    refusal_reason(&refusal, text, size);
}
