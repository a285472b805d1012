/* SPDX-License-Identifier: MIT */
/*
 * Each check does to this process what the supervisor will do to the program.
 */
#include "reachability.h"
#include "compat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* /proc must be there, and be that of our own PID namespace. */
static bool has_own_proc(void)
{
    char link[32];
    ssize_t length = readlink("/proc/self", link, sizeof link - 1);
    link[length > 0 ? length : 0] = '\0';
    return strtol(link, NULL, 10) == getpid();
}

/* Returns 0 or an errno. */
static int try_duplicating(void)
{
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int copy = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
    int error = copy < 0 ? errno : 0;
    if (copy >= 0)
        close(copy);
    if (pidfd >= 0)
        close(pidfd);
    return error;
}

/* Returns 0 or an errno. */
static int try_reading(void)
{
    char from = 1, to = 0;
    struct iovec local = {&to, 1}, remote = {&from, 1};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1 ? 0 : errno;
}

static int yama_scope(void)
{
    FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
    int scope = 0;
    if (file == NULL)
        return 0;
    if (fscanf(file, "%d", &scope) != 1)
        scope = 0;
    fclose(file);
    return scope;
}

bool reachability_problem(char *text, size_t size)
{
    int error, scope = yama_scope();
    if (!has_own_proc())
        snprintf(text, size, "/proc is not mounted, or is that of another PID namespace");
    else if ((error = try_duplicating()) != 0)
        snprintf(
            text, size,
            "pidfd_getfd() fails here: %s; a container's seccomp profile can forbid it, or the "
            "kernel is older than Linux 5.6",
            strerror(error));
    else if ((error = try_reading()) != 0)
        snprintf(text, size,
                 "process_vm_readv() fails here: %s; a container's seccomp profile can forbid it",
                 strerror(error));
    else if (scope > 2 || (scope == 2 && geteuid() != 0))
        snprintf(text, size, "kernel.yama.ptrace_scope is %d", scope);
    else
        return false;
    return true;
}
