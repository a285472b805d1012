/* SPDX-License-Identifier: MIT */
/*
 * A daemon that drops its privileges after its start: chroot into an empty directory, another user
 * (so it is not dumpable either), no capabilities, no new privileges, no environment. Must be
 * started as root.
 *
 * confine DIRECTORY
 */
#include "host.h"

#include <grp.h>
#include <sys/prctl.h>

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    check(argc == 2);
    int listener = listen_on_loopback(&address, 8);
    check(chdir(argv[1]) == 0 && chroot(".") == 0);
    say_connection("chroot");
    check(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    check(setuid(0) == -1 && errno == EPERM);
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    check(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
    check(clearenv() == 0);
    say_connection("nobody");
    int client = connect_to(&address);
    int server = accept(listener, NULL, NULL);
    check(server >= 0);
    say_options("kept.accept", server);
    close(client);
    close(server);
    int mark = 7;
    check(setsockopt(listener, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == -1 && errno == EPERM);
    say_descriptors("end");
    return 0;
}
