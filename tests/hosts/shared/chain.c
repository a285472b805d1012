/* SPDX-License-Identifier: MIT */
/*
 * Another library to preload: it wraps the calls that create sockets, counts them, and calls the
 * next object's functions. At the end it prints its counts on standard output. Its constructor
 * creates sockets itself, before or after the constructors of other libraries.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int sockets, listens, connects, accepts;

static void *next(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (function == NULL) {
        dprintf(STDERR_FILENO, "chain: no %s behind this one\n", name);
        _exit(1);
    }
    return function;
}

int socket(int domain, int type, int protocol)
{
    sockets++;
    return ((int (*)(int, int, int))next("socket"))(domain, type, protocol);
}

int listen(int fd, int backlog)
{
    listens++;
    return ((int (*)(int, int))next("listen"))(fd, backlog);
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
    connects++;
    return ((int (*)(int, const struct sockaddr *, socklen_t))next("connect"))(fd, address, length);
}

int accept(int fd, struct sockaddr *address, socklen_t *length)
{
    accepts++;
    return ((int (*)(int, struct sockaddr *, socklen_t *))next("accept"))(fd, address, length);
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    accepts++;
    return ((int (*)(int, struct sockaddr *, socklen_t *, int))next("accept4"))(fd, address, length,
                                                                                flags);
}

__attribute__((constructor)) static void use_sockets_early(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        connect(client, (struct sockaddr *)&address, sizeof address) != 0) {
        dprintf(STDERR_FILENO, "chain: no sockets in the constructor\n");
        _exit(1);
    }
    close(accept(listener, NULL, NULL));
    close(client);
    close(listener);
}

__attribute__((destructor)) static void say_counts(void)
{
    dprintf(STDOUT_FILENO, "chain: %d sockets %d listens %d connects %d accepts\n", sockets,
            listens, connects, accepts);
}
