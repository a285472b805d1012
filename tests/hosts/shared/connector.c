/* SPDX-License-Identifier: MIT */
/* A library that connects. Loaded by dlopened.c. */
#include <netinet/in.h>
#include <sys/socket.h>

int connector_connect(const struct sockaddr_in *address);

int connector_connect(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) {
        return -1;
    }
    return fd;
}
