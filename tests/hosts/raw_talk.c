/* SPDX-License-Identifier: MIT */
/*
 * Listens and connects to itself by syscall(2), past libc's functions, sets options as programs do,
 * and keeps it all open. With musl, or linked statically, no preloaded library sees it either way.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static long must(long result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

static void set(long fd, int optname, int value)
{
    must(syscall(SYS_setsockopt, fd, IPPROTO_TCP, optname, &value, sizeof value), "setsockopt");
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    long listener = must(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), "socket");
    must(syscall(SYS_bind, listener, &address, sizeof address), "bind");
    must(syscall(SYS_listen, listener, 8), "listen");
    must(syscall(SYS_getsockname, listener, &address, &length), "getsockname");
    long client = must(syscall(SYS_socket, AF_INET, SOCK_STREAM, 0), "socket");
    must(syscall(SYS_connect, client, &address, sizeof address), "connect");
    long accepted = must(syscall(SYS_accept4, listener, NULL, NULL, 0), "accept");
    set(client, TCP_NODELAY, 1);
    set(client, TCP_KEEPINTVL, 15);
    set(accepted, TCP_NODELAY, 1);
    set(accepted, TCP_KEEPINTVL, 15);
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
