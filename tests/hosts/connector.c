/* SPDX-License-Identifier: MIT */
/*
 * Connects to itself once for each word on standard input, in the process that the word names:
 * "self", or a child of "fork" or "vfork". Prints the pid of the process that connected.
 */
#include "host.h"

#include <stdbool.h>
#include <sys/prctl.h>

#include <sys/wait.h>

static struct sockaddr_in address;

/* In a vfork() child: only system calls and the calls under test. */
static void connect_and_exit(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    _exit(fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0);
}

/* A vfork()ed child that drops privileges, as a launcher of sandboxed programs does. */
static pid_t confine_child(void)
{
    int status = 0;
    pid_t child = vfork();
    if (child == 0) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
        _exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0);
    }
    check(child > 0 && waitpid(child, &status, 0) == child);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return child;
}

static pid_t connect_in(const char *who)
{
    pid_t child;
    if (strcmp(who, "self") == 0) {
        close(connect_to(&address));
        return getpid();
    }
    if (strcmp(who, "vfork") == 0) {
        child = vfork();
    } else {
        child = fork();
    }
    if (child == 0) {
        /* POSIX forbids this, but programs do it. NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
        connect_and_exit();
    }
    int status = 0;
    check(child > 0 && waitpid(child, &status, 0) == child);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return child;
}

int main(void)
{
    char who[16];
    int listener = listen_on_loopback(&address, 128);
    while (scanf("%15s", who) == 1) {
        bool confines = strcmp(who, "confine") == 0;
        pid_t pid = confines ? confine_child() : connect_in(who);
        if (!confines)
            close(accept(listener, NULL, NULL));
        say("%d\n", (int)pid);
    }
    return 0;
}
