/* SPDX-License-Identifier: MIT */
/*
 * Started with a limit of one descriptor above the standard ones: the loader needs it to load
 * libraries; later it is the program's only socket.
 *
 * onefd PORT: connect to that port of 127.0.0.1.
 */
#include "host.h"

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    check(argc == 2);
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    say_descriptors("start");
    int fd = connect_to(&address);
    check(fd == 3);
    say_options("connect", fd);
    errno = 0;
    check(socket(AF_INET, SOCK_STREAM, 0) == -1 && errno == EMFILE);
    return 0;
}
