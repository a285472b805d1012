/* SPDX-License-Identifier: MIT */
/*
 * Listens and connects to itself with syscall(2) instead of libc's functions, sets options as
 * programs do, and keeps the sockets open. Linked to musl, or statically, it uses no preloaded
 * function either way. With -m32 -DBY_SOCKETCALL it uses the single call of older 32-bit x86
 * kernels.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef BY_SOCKETCALL
/* The numbers of linux/net.h. */
enum {
    CALL_socket = 1,
    CALL_bind,
    CALL_connect,
    CALL_listen,
    CALL_getsockname = 6,
    CALL_setsockopt = 14,
    CALL_accept4 = 18
};
#define CALL(name, ...) syscall(SYS_socketcall, CALL_##name, (long[]){__VA_ARGS__})
#else
#define CALL(name, ...) syscall(SYS_##name, __VA_ARGS__)
#endif

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
    must(CALL(setsockopt, fd, IPPROTO_TCP, optname, (long)&value, sizeof value), "setsockopt");
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    long listener = must(CALL(socket, AF_INET, SOCK_STREAM, 0), "socket");
    must(CALL(bind, listener, (long)&address, sizeof address), "bind");
    must(CALL(listen, listener, 8), "listen");
    must(CALL(getsockname, listener, (long)&address, (long)&length), "getsockname");
    long client = must(CALL(socket, AF_INET, SOCK_STREAM, 0), "socket");
    must(CALL(connect, client, (long)&address, sizeof address), "connect");
    long accepted = must(CALL(accept4, listener, 0L, 0L, 0), "accept");
    set(client, TCP_NODELAY, 1);
    set(client, TCP_KEEPINTVL, 15);
    set(accepted, TCP_NODELAY, 1);
    set(accepted, TCP_KEEPINTVL, 15);
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
