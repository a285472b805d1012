/* SPDX-License-Identifier: MIT */
/*
 * The child is created by the bare clone system call without an exit signal: the program gets no
 * SIGCHLD, and its wait() does not see the child (only __WALL does). But execve(2) resets the exit
 * signal to SIGCHLD. The program would find that signal pending if it blocks it, and would lose the
 * exit status if it ignores it. So the child starts the compiler as its own child, and waits for
 * it. Both make system calls only.
 */
#include "spawn.h"

#include "compat.h"
#include "kernel.h"
#include "symbols.h"
#include "text.h"
#include "trace.h"

#include <errno.h>
#include <linux/limits.h>
#include <linux/memfd.h>
#include <linux/wait.h>
#include <signal.h>
#include <sys/time.h>

#define SECONDS_MAX 20

/* Exit status of the child if a signal ended the compiler, or if there is no compiler. */
#define EXIT_KILLED      126
#define EXIT_NO_COMPILER 127

/* Builds the path of the file `name` in the directory of this library. */
static bool beside_library(struct text *path, const char *name)
{
    const char *own = symbols_own_path();
    if (own == NULL)
        return false;
    text_put(path, own);
    path->length = (size_t)(text_basename(path->bytes) - path->bytes);
    path->bytes[path->length] = 0;
    text_put(path, name);
    return path->length + 1 < path->size;
}

static void close_from(unsigned first)
{
    if (kernel_call(SYS_close_range, first, ~0u, 0) == 0)
        return;
    for (unsigned fd = first; fd < 65536; fd++) /* before Linux 5.9 */
        kernel_close((int)fd);
}

/* Makes descriptor 0 /dev/null and 1 the memfd; 2 stays or becomes /dev/null. The program may have
 * been started with any of them closed, and there may be no room for a further descriptor, so this
 * uses none. False if standard output is not the memfd: it would be the program's. */
static bool arrange_descriptors(int output)
{
    bool has_stderr = output != STDERR_FILENO && trace_may_use_stderr();
    if (output == STDOUT_FILENO) {
        if (kernel_call(SYS_fcntl, output, F_SETFD, 0) < 0)
            return false;
    } else if (kernel_call(SYS_dup3, output, STDOUT_FILENO, 0) < 0) {
        return false;
    }
    kernel_close(STDIN_FILENO); /* so that open() returns this number */
    int null = (int)kernel_call(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
    if (!has_stderr && null >= 0)
        kernel_call(SYS_dup3, null, STDERR_FILENO, 0);
    close_from(3);
    return true;
}

static void __attribute__((noreturn)) leave(int status)
{
    for (;;)
        kernel_call(SYS_exit_group, status);
}

/* A limit on file sizes gives the compiler an error, not a fatal signal. */
static void ignore_limits(void)
{
    const struct kernel_sigaction {
        const void *handler; /* SIG_IGN */
        unsigned long rest[7];
    } ignore = {.handler = (const void *)1};
    kernel_call(SYS_rt_sigaction, SIGXFSZ, &ignore, NULL, sizeof(uint64_t));
}

/* Two variables of the environment say where the user's cache is. The library is disabled in the
 * compiler, in case it is preloaded there. */
static void __attribute__((noreturn))
run_compiler(const char *compiler, const char *path, int output, const struct settings *settings)
{
    const bool is_root = settings->owner.uid == 0;
    const char *const home = is_root ? NULL : settings->home;
    const char *const cache = is_root ? NULL : settings->cache_home;
    const uint64_t no_signals = 0;
    const struct itimerval limit = {.it_value = {.tv_sec = SECONDS_MAX}};
    const char *const arguments[] = {"socktune-compile", path, NULL};
    const char *const environment[] = {"SOCKTUNE_DISABLE=1", home != NULL ? home : cache,
                                       home != NULL ? cache : NULL, NULL};
    if (arrange_descriptors(output)) {
        ignore_limits();
        kernel_call(SYS_setitimer, ITIMER_REAL, &limit, NULL);
        kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof no_signals);
        kernel_call(SYS_execve, compiler, arguments, environment);
    }
    leave(EXIT_NO_COMPILER);
}

/* Returns the exit status of the child; EXIT_KILLED if a signal ended it. */
static int wait_for_compiler(int pid)
{
    int status = EXIT_NO_COMPILER << 8;
    while (kernel_call(SYS_wait4, pid, &status, __WALL, NULL) < 0 && errno == EINTR)
        ;
    return (status & 0x7f) != 0 ? EXIT_KILLED : status >> 8 & 0xff;
}

static void __attribute__((noreturn))
fork_compiler(const char *compiler, const char *path, int output, const struct settings *settings)
{
    const unsigned long default_action[8] = {0}; /* at least the kernel's struct sigaction */
    kernel_call(SYS_rt_sigaction, SIGCHLD, default_action, NULL, sizeof(uint64_t));
    kernel_call(SYS_rt_sigaction, SIGALRM, default_action, NULL, sizeof(uint64_t));
    int pid = kernel_fork(SIGCHLD);
    if (pid == 0)
        run_compiler(compiler, path, output, settings);
    leave(pid > 0 ? wait_for_compiler(pid) : EXIT_NO_COMPILER);
}

static const char *failure_reason(int status)
{
    if (status == EXIT_KILLED)
        return "the rule compiler was killed";
    if (status == EXIT_NO_COMPILER)
        return "no fresh policy, and the rule compiler (socktune-compile, beside libsocktune.so) "
               "cannot be "
               "run";
    return NULL; /* the compiler has printed the reason */
}

struct spawned spawn_compiler(const char *path, const struct settings *settings)
{
    char compiler[PATH_MAX];
    struct text text = TEXT(compiler);
    if (!beside_library(&text, "socktune-compile"))
        return (struct spawned){-1, "the rule compiler is not found"};
    int output = (int)kernel_call(SYS_memfd_create, "socktune-policy", MFD_CLOEXEC);
    if (output < 0)
        return (struct spawned){-1, "no descriptor is free for the rule compiler"};
    int pid = kernel_fork(0);
    if (pid == 0)
        fork_compiler(compiler, path, output, settings);
    int status = pid > 0 ? wait_for_compiler(pid) : EXIT_NO_COMPILER;
    if (status == 0)
        return (struct spawned){output, NULL};
    kernel_close(output);
    return (struct spawned){-1, pid < 0 ? "the rule compiler cannot be started"
                                        : failure_reason(status)};
}
