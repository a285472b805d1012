/* SPDX-License-Identifier: MIT */
/*
 * Shared by the host programs. A host is a small program that uses its sockets, its memory or
 * itself in a way that a preloaded library may not expect, and checks its own behaviour: it exits
 * with 0, or prints the error on standard error and exits with 1. It contains nothing of socktune
 * and passes without it.
 *
 * On standard output a host prints its observations. Lines that begin with "option " contain the
 * options of a socket, which rules may change; all other lines must be equal with and without
 * socktune.
 */
#ifndef SOCKTUNE_HOST_H
#define SOCKTUNE_HOST_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The output of say(): standard output, unless the host closes that. */
static int report_fd = STDOUT_FILENO;

#define say(...)  dprintf(report_fd, __VA_ARGS__)
#define fail(...) (dprintf(STDERR_FILENO, __VA_ARGS__), _exit(1))

/* Exit with status 1 unless `condition` holds. */
#define check(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fail("%s:%d: not so: %s (%s)\n", __FILE__, __LINE__, #condition, strerror(errno));     \
        }                                                                                          \
    } while (0)

/* A TCP listener on a free port of 127.0.0.1; `address` gets its address. */
__attribute__((unused)) static int listen_on_loopback(struct sockaddr_in *address, int backlog)
{
    socklen_t length = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(bind(fd, (struct sockaddr *)address, sizeof *address) == 0);
    check(listen(fd, backlog) == 0);
    check(getsockname(fd, (struct sockaddr *)address, &length) == 0);
    return fd;
}

/* A new TCP socket, connected to `address`. */
__attribute__((unused)) static int connect_to(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0);
    check(connect(fd, (const struct sockaddr *)address, sizeof *address) == 0);
    return fd;
}

/* The value of an int option, from the kernel. Async-signal-safe. */
__attribute__((unused)) static int option_of(int fd, int level, int optname)
{
    int value = -1;
    socklen_t length = sizeof value;
    check(getsockopt(fd, level, optname, &value, &length) == 0);
    return value;
}

/* Print the socket's options: one that the tests' rules set at socket(), two that they set before
 * connect() or on the listener, and one that depends on the peer's address. */
__attribute__((unused)) static void say_options(const char *who, int fd)
{
    say("option %s priority=%d keepalive=%d idle=%d count=%d\n", who,
        option_of(fd, SOL_SOCKET, SO_PRIORITY), option_of(fd, SOL_SOCKET, SO_KEEPALIVE),
        option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), option_of(fd, IPPROTO_TCP, TCP_KEEPCNT));
}

/* Open a connection to the program itself, print the options of both ends, and close it. */
__attribute__((unused)) static void say_connection(const char *who)
{
    struct sockaddr_in address;
    char name[64];
    int listener = listen_on_loopback(&address, 8);
    int client = connect_to(&address);
    int server = accept(listener, NULL, NULL);
    char byte = 'x';
    check(server >= 0);
    check(write(client, &byte, 1) == 1 && read(server, &byte, 1) == 1 && byte == 'x');
    snprintf(name, sizeof name, "%s.connect", who);
    say_options(name, client);
    snprintf(name, sizeof name, "%s.accept", who);
    say_options(name, server);
    close(client);
    close(server);
    close(listener);
}

/* Print which descriptors are open. */
__attribute__((unused)) static void say_descriptors(const char *who)
{
    say("%s descriptors:", who);
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage any;
        socklen_t length = sizeof any;
        if (getsockname(fd, (struct sockaddr *)&any, &length) == 0) {
            say(" %d=socket", fd);
        } else if (errno != EBADF) {
            say(" %d", fd);
        }
    }
    say("\n");
}

#endif
