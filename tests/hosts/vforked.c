/* SPDX-License-Identifier: MIT */
/*
 * Children that use sockets: of vfork(), which share their parent's memory, stack and errno; of
 * fork(); and of posix_spawn(), which runs this program again.
 *
 * vforked child: what the spawned program does.
 */
#include "host.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

static struct sockaddr_in address;

static void await_child(pid_t child)
{
    int status = 0;
    check(waitpid(child, &status, 0) == child);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* In a vfork() child: only system calls and the calls under test. */
static int connect_quietly(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "child") == 0) {
        say_connection("spawned");
        return 0;
    }
    int listener = listen_on_loopback(&address, 128);
    volatile int in_child = -1;
    volatile int child_keepalive = -1;
    for (int round = 0; round < 50; round++) {
        pid_t child = vfork();
        if (child == 0) {
            /* POSIX forbids this, but programs do it. NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
            in_child = connect_quietly();
            child_keepalive = in_child < 0 ? -1 : option_of(in_child, SOL_SOCKET, SO_KEEPALIVE);
            _exit(in_child < 0);
        }
        check(child > 0);
        await_child(child);
        int server = accept(listener, NULL, NULL);
        check(server >= 0);
        close(server);
    }
    say("vfork descriptor %d\n", in_child);
    say("option vfork keepalive=%d\n", child_keepalive);
    say_connection("after vfork");

    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        say_connection("fork");
        _exit(0);
    }
    await_child(child);

    char *const arguments[] = {argv[0], (char[]){"child"}, NULL};
    check(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0);
    await_child(child);
    say_connection("parent");
    say_descriptors("end");
    return 0;
}
