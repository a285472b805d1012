/* SPDX-License-Identifier: MIT */
/*
 * A large number of short processes: the program starts itself again and again, a few at a time;
 * each process creates a socket, connects and ends.
 *
 * swarm COUNT AT_A_TIME; swarm child PORT: what each process does.
 */
#include "host.h"

#include <spawn.h>
#include <sys/wait.h>

static int be_child(const char *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)atoi(port))};
    int fd = connect_to(&address);
    /* The exit status for the parent: 10 untuned, 11 tuned. */
    return 10 + option_of(fd, SOL_SOCKET, SO_KEEPALIVE);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    char port[8];
    check(argc == 3);
    if (strcmp(argv[1], "child") == 0) {
        return be_child(argv[2]);
    }
    int count = atoi(argv[1]);
    int at_a_time = atoi(argv[2]);
    int tuned = 0;
    int listener = listen_on_loopback(&address, 4096);
    snprintf(port, sizeof port, "%u", ntohs(address.sin_port));
    char *const arguments[] = {argv[0], (char[]){"child"}, port, NULL};
    for (int started = 0, ended = 0; ended < count;) {
        if (started < count && started - ended < at_a_time) {
            pid_t child;
            check(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0);
            started++;
            continue;
        }
        int status = 0;
        check(wait(&status) > 0);
        check(WIFEXITED(status) && (WEXITSTATUS(status) | 1) == 11);
        tuned += WEXITSTATUS(status) & 1;
        ended++;
        close(accept(listener, NULL, NULL));
    }
    say("%d processes\n", count);
    say("option children tuned=%d\n", tuned);
    return 0;
}
