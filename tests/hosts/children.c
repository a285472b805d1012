/* SPDX-License-Identifier: MIT */
/*
 * A program that watches its children. It handles SIGCHLD from before the constructors of all
 * libraries: no SIGCHLD arrives, wait() finds no child, and its signal mask and handlers are
 * unchanged.
 */
#include "host.h"

#include <signal.h>
#include <sys/wait.h>

static volatile sig_atomic_t ended_children;
static bool ignored;

static void on_child(int number)
{
    (void)number;
    ended_children++;
}

static void before_libraries(int argc, char **argv, char **envp)
{
    struct sigaction action = {.sa_handler = on_child}, old;
    (void)argc;
    (void)argv;
    (void)envp;
    check(sigaction(SIGCHLD, NULL, &old) == 0);
    ignored = old.sa_handler == SIG_IGN;
    if (!ignored) {
        check(sigaction(SIGCHLD, &action, NULL) == 0);
    }
}

__attribute__((section(".preinit_array"), used)) static void (*preinit)(int, char **,
                                                                        char **) = before_libraries;

int main(void)
{
    struct sigaction now;
    sigset_t mask, pending;
    check(sigaction(SIGCHLD, NULL, &now) == 0);
    check(now.sa_handler == (ignored ? SIG_IGN : on_child));
    check(sigprocmask(SIG_BLOCK, NULL, &mask) == 0);
    check(sigpending(&pending) == 0);
    say("SIGCHLD %s, blocked %d, pending %d, seen %d\n", ignored ? "ignored" : "handled",
        sigismember(&mask, SIGCHLD), sigismember(&pending, SIGCHLD), (int)ended_children);
    errno = 0;
    check(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
    say("no child\n");
    say_connection("main");
    usleep(50 * 1000);
    check(ended_children == 0);

    /* The program still sees its own child. */
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    check(sigprocmask(SIG_BLOCK, &child_signal, NULL) == 0);
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        _exit(7);
    }
    int status = 0;
    if (ignored) {
        check(waitpid(child, &status, 0) == -1 && errno == ECHILD);
    } else {
        check(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
        check(sigpending(&pending) == 0 && sigismember(&pending, SIGCHLD) == 1);
    }
    say_descriptors("end");
    return 0;
}
