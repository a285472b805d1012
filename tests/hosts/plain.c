/* SPDX-License-Identifier: MIT */
/*
 * A plain program: it connects to itself and lists its open descriptors. Built in several ways
 * (static and dynamic AddressSanitizer, musl, 32 bits, another processor) and started in several
 * ways (with another preloaded library, limits, closed descriptors).
 *
 * plain [FILE]: report into FILE instead of standard output.
 */
#include "host.h"

#include <fcntl.h>

int main(int argc, char **argv)
{
    if (argc > 1) {
        /* A high number, so that the sockets have the same numbers as without a report. */
        int fd = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        check(fd >= 0);
        report_fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
        check(report_fd >= 0);
        close(fd);
    }
    say_descriptors("start");
    say_connection("plain");
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address, 8);
    int client = connect_to(&address);
    int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    say("listener %d client %d server %d\n", listener, client, server);
    say_descriptors("end");
    return 0;
}
