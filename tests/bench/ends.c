/* SPDX-License-Identifier: MIT */
/*
 * When the peer sees a connection's end: ends PROCESSOR PEER_PROCESSOR. The peer is a child on its
 * own processor, to which this program connects. For each order on standard input, "fin N" or "rst
 * N", N connections are made and closed, and one line contains for each the nanoseconds from before
 * close() to the return of the peer's poll().
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 10000, SETTLE_NS = 30000, SIGNAL = 15 };

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void stay_on(const char *processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(strtoul(processor, NULL, 10), &set);
    must(sched_setaffinity(0, sizeof set, &set), "sched_setaffinity");
}

/* Accept, report that, wait for the end, and report its time. */
static void be_peer(int listener, int tell)
{
    for (;;) {
        char byte = 0;
        int fd = accept(listener, NULL, NULL);
        must(fd, "accept");
        struct pollfd end = {.fd = fd, .events = POLLIN};
        must((int)write(fd, &byte, 1), "write");
        must(poll(&end, 1, -1), "poll");
        int64_t seen = now();
        ssize_t got = read(fd, &byte, 1);
        if (got > 0 || (got < 0 && errno != ECONNRESET))
            exit(1);
        close(fd);
        must((int)write(tell, &seen, sizeof seen), "write");
    }
}

static int64_t time_end(const struct sockaddr_in *address, int reset, int seen_at)
{
    const struct linger linger = {1, 0};
    char byte;
    int64_t seen, start;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fd, (const struct sockaddr *)address, sizeof *address), "connect");
    if (reset)
        must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), "setsockopt");
    must((int)read(fd, &byte, 1), "read");
    /* Give the peer time to sleep in poll(). */
    for (start = now(); now() - start < SETTLE_NS;)
        continue;
    start = now();
    close(fd);
    if (read(seen_at, &seen, sizeof seen) != (ssize_t)sizeof seen)
        exit(1);
    return seen - start;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int listener, ends[2], count;
    char kind[4];
    if (argc != 3)
        return 2;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (const struct sockaddr *)&address, sizeof address), "bind");
    must(listen(listener, 8), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    must(pipe(ends), "pipe");
    pid_t child = fork();
    must(child, "fork");
    if (child == 0) {
        must(prctl(PR_SET_PDEATHSIG, SIGNAL), "prctl");
        stay_on(argv[2]);
        be_peer(listener, ends[1]);
    }
    stay_on(argv[1]);
    while (scanf("%3s %d", kind, &count) == 2 && count > 0 && count <= COUNT_MAX) {
        for (int i = 0; i < count; i++)
            printf("%lld ", (long long)time_end(&address, strcmp(kind, "rst") == 0, ends[0]));
        puts("");
        (void)fflush(stdout);
    }
    return 0;
}
