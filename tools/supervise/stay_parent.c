/* SPDX-License-Identifier: MIT */
/*
 * The small parent. All signals are blocked and taken one by one, so that none is lost between a
 * check and a wait.
 */
#include "stay_parent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* fork() does not pass this attribute on. */
static bool subreaper_wanted;

static bool receives_orphans(void)
{
    int subreaper = 0;
    return getpid() == 1 ||
           (prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0) == 0 && subreaper != 0);
}

/* End as the program did. PID 1 cannot be ended by its own signal: then as a shell tells it. */
static void __attribute__((noreturn)) end_as(int status)
{
    const struct rlimit none = {0, 0};
    sigset_t one;
    int number;
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    number = WTERMSIG(status);
    setrlimit(RLIMIT_CORE, &none);
    signal(number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, number);
    kill(getpid(), number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    _exit(128 + number);
}

/* Reap whatever has ended. */
static void reap_children(pid_t program)
{
    int status;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (ended != program)
            continue;
        if (WIFSTOPPED(status))
            kill(getpid(), SIGSTOP);
        else
            end_as(status);
    }
}

/* Signals of the terminal go to the whole process group, so the program has had them. */
static void __attribute__((noreturn)) serve_program(pid_t program, const sigset_t *signals)
{
    for (;;) {
        siginfo_t info;
        int number = sigwaitinfo(signals, &info);
        if (number == SIGCHLD)
            reap_children(program);
        else if (number > 0 && info.si_code != SI_KERNEL)
            kill(program, number);
    }
}

/* Hold nothing that the program may wait for to be closed. */
static void drop_descriptors(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
    close_range(STDERR_FILENO + 1, ~0u, 0);
}

void stay_parent_restore(void)
{
    if (subreaper_wanted)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

int stay_parent_of_program(void)
{
    bool subreaper = getpid() != 1;
    sigset_t all, before;
    pid_t program;
    if (!receives_orphans())
        return 0;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    program = fork();
    if (program > 0) {
        signal(SIGCHLD, SIG_DFL);
        drop_descriptors();
        serve_program(program, &all);
    }
    if (program == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        subreaper_wanted = subreaper;
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return program < 0 ? -1 : 0;
}
