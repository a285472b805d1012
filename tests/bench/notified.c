/* SPDX-License-Identifier: MIT */
/*
 * Times the calls that --supervise intercepts: for each order (a line on standard input) so many of
 * each, and one line of medians in nanoseconds, in the order of `enum phase`. getppid is not
 * intercepted.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum phase { CONNECT, CONNECT_UNIX, CONNECT_UNIX_ASKED, BIND, LISTEN, SETSOCKOPT, GETPPID, PHASES };
enum { CALLS_MAX = 1000 };

static int64_t taken[PHASES][CALLS_MAX];

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return one < other ? -1 : one > other;
}

static void must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static int tcp_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(fd, "socket");
    return fd;
}

static void time_connect(int listener, const struct sockaddr_in *address, int64_t *result)
{
    const struct linger reset = {1, 0}; /* avoids TIME_WAIT */
    int client = tcp_socket();
    int64_t start = now();
    must(connect(client, (const struct sockaddr *)address, sizeof *address), "connect");
    *result = now() - start;
    int accepted = accept(listener, NULL, NULL);
    must(accepted, "accept");
    must(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), "setsockopt");
    close(client);
    close(accepted);
}

static void time_listener(const struct sockaddr_in *any, int64_t *bound, int64_t *listening)
{
    int fd = tcp_socket();
    int64_t start = now();
    must(bind(fd, (const struct sockaddr *)any, sizeof *any), "bind");
    int64_t between = now();
    must(listen(fd, 8), "listen");
    *listening = now() - between;
    *bound = between - start;
    close(fd);
}

/* A listener whose address has a given length. */
struct unix_listener {
    int fd;
    socklen_t length;
    struct sockaddr_un address;
};

static void time_connect_unix(const struct unix_listener *listener, int64_t *result)
{
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    must(client, "socket");
    int64_t start = now();
    must(connect(client, (const struct sockaddr *)&listener->address, listener->length), "connect");
    *result = now() - start;
    int accepted = accept(listener->fd, NULL, NULL);
    must(accepted, "accept");
    close(client);
    close(accepted);
}

/* Listen at an abstract name (unix(7)). */
static struct unix_listener listen_unix(socklen_t length)
{
    struct unix_listener listener = {
        socket(AF_UNIX, SOCK_STREAM, 0), length, {.sun_family = AF_UNIX}};
    must(listener.fd, "socket");
    snprintf(listener.address.sun_path + 1, sizeof listener.address.sun_path - 1,
             "notified-%010d-xxxxxxxx", (int)getpid());
    must(bind(listener.fd, (const struct sockaddr *)&listener.address, length), "bind");
    must(listen(listener.fd, 8), "listen");
    return listener;
}

static void time_setsockopt(int fd, int64_t *result)
{
    const int off = 0;
    int64_t start = now();
    must(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof off), "setsockopt");
    *result = now() - start;
}

static void time_getppid(int64_t *result)
{
    int64_t start = now();
    syscall(SYS_getppid);
    *result = now() - start;
}

int main(void)
{
    /* No IP address is 23 bytes long. */
    const struct unix_listener unix_listener = listen_unix(23), asked = listen_unix(24);
    struct sockaddr_in any = {.sin_family = AF_INET}, address;
    socklen_t length = sizeof address;
    int listener = tcp_socket(), count;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (const struct sockaddr *)&any, sizeof any), "bind");
    must(listen(listener, 128), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    while (scanf("%d", &count) == 1 && count > 0 && count <= CALLS_MAX) {
        for (int i = 0; i < count; i++) {
            time_connect(listener, &address, &taken[CONNECT][i]);
            time_connect_unix(&unix_listener, &taken[CONNECT_UNIX][i]);
            time_connect_unix(&asked, &taken[CONNECT_UNIX_ASKED][i]);
            time_listener(&any, &taken[BIND][i], &taken[LISTEN][i]);
            time_setsockopt(listener, &taken[SETSOCKOPT][i]);
            time_getppid(&taken[GETPPID][i]);
        }
        for (int phase = 0; phase < PHASES; phase++) {
            qsort(taken[phase], (size_t)count, sizeof taken[phase][0], compare);
            printf("%lld ", (long long)taken[phase][count / 2]);
        }
        puts("");
        fflush(stdout);
    }
    return 0;
}
