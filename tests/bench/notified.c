/* SPDX-License-Identifier: MIT */
/*
 * The calls that --supervise is asked about, timed: for each order (a line on standard input) so
 * many of each, and one line of medians in nanoseconds: connect, bind, listen, and getppid, which
 * nobody is asked about.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CALLS_MAX = 1000, PHASES = 4 };

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
    const struct linger reset = {1, 0}; /* leaves no TIME_WAIT behind */
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

int main(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET}, address;
    socklen_t length = sizeof address;
    int listener = tcp_socket(), count;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (const struct sockaddr *)&any, sizeof any), "bind");
    must(listen(listener, 128), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    while (scanf("%d", &count) == 1 && count > 0 && count <= CALLS_MAX) {
        for (int i = 0; i < count; i++) {
            time_connect(listener, &address, &taken[0][i]);
            time_listener(&any, &taken[1][i], &taken[2][i]);
            int64_t start = now();
            syscall(SYS_getppid);
            taken[3][i] = now() - start;
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
