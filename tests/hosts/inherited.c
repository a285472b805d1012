/* SPDX-License-Identifier: MIT */
/*
 * Inherited sockets, and programs that replace themselves. The program executes itself as many
 * times as asked; each time it connects to and accepts on a listener that the first one inherited
 * as descriptor 3 (as a systemd service does), and makes a connection of its own.
 *
 * inherited TIMES
 */
#include "host.h"

#include <fcntl.h>

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    char times[16];
    char name[32];
    check(argc == 2);
    int left = atoi(argv[1]);
    check(option_of(3, SOL_SOCKET, SO_ACCEPTCONN) == 1);
    check(getsockname(3, (struct sockaddr *)&address, &length) == 0);
    int client = connect_to(&address);
    int server = accept4(3, NULL, NULL, SOCK_CLOEXEC);
    check(server >= 0);
    snprintf(name, sizeof name, "%d.passed.accept", left);
    say_options(name, server);
    check(fcntl(client, F_SETFD, FD_CLOEXEC) == 0);
    snprintf(name, sizeof name, "%d.own", left);
    say_connection(name);
    say_descriptors("end");
    if (left > 0) {
        snprintf(times, sizeof times, "%d", left - 1);
        execl("/proc/self/exe", argv[0], times, (char *)NULL);
        fail("exec: %s\n", strerror(errno));
    }
    return 0;
}
