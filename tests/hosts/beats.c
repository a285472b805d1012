/* SPDX-License-Identifier: MIT */
/*
 * beats COUNT: COUNT processes, each of which creates and closes a UDP socket five times per second
 * until standard input ends. Each executes this program again, so that the library starts in it.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void beat(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        close(socket(AF_INET, SOCK_DGRAM, 0));
        usleep(200000);
    }
}

int main(int argc, char **argv)
{
    struct pollfd input = {.fd = 0};
    if (argc < 2)
        beat();
    for (int i = atoi(argv[1]); i > 0; i--)
        if (fork() == 0) {
            execl("/proc/self/exe", argv[0], NULL);
            _exit(1);
        }
    puts("started");
    fflush(stdout);
    while (poll(&input, 1, -1) >= 0 && (input.revents & POLLHUP) == 0)
        continue;
    return 0;
}
