/* SPDX-License-Identifier: MIT */
/*
 * How long records wait in their ring: waits. To be preloaded with libsocktune.so under rules that
 * report. It connects to itself every millisecond and examines its own ring, which it finds among
 * its mappings. For each line on standard input it prints, in microseconds, the longest wait since
 * the previous line, the number of records read in that time, and how many found no room.
 */
#include "ring.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { KEPT = 65536, EVERY_NS = 1000000, PAUSE_NS = 100000 };

/* When a ticket was first seen, by ticket modulo KEPT. */
static uint64_t given[KEPT];

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static const struct ring *find_ring(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[4096];
    const struct ring *ring = NULL;
    while (maps != NULL && ring == NULL && fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "/memfd:socktune") != NULL)
            ring = (const struct ring *)strtoul(line, NULL, 16); /* NOLINT(performance-*) */
    if (ring == NULL || memcmp(ring->header.magic, RING_MAGIC, sizeof ring->header.magic) != 0) {
        fputs("waits: no ring\n", stderr);
        exit(1);
    }
    (void)fclose(maps);
    return ring;
}

static int listen_here(struct sockaddr_in *address)
{
    socklen_t length = sizeof *address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (const struct sockaddr *)address, sizeof *address), "bind");
    must(listen(listener, 8), "listen");
    must(getsockname(listener, (struct sockaddr *)address, &length), "getsockname");
    return listener;
}

static void connect_once(int listener, const struct sockaddr_in *address)
{
    const struct linger reset = {1, 0}; /* avoids TIME_WAIT */
    int client = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(client, (const struct sockaddr *)address, sizeof *address), "connect");
    int accepted = accept(listener, NULL, NULL);
    must(accepted, "accept");
    must(setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), "setsockopt");
    close(client);
    close(accepted);
}

/* The observed state of the ring. */
struct watch {
    const struct ring *ring;
    uint64_t head, tail; /* as last seen */
    uint64_t longest;
};

static void look(struct watch *watch)
{
    uint64_t head = __atomic_load_n(&watch->ring->header.head, __ATOMIC_ACQUIRE);
    uint64_t tail = __atomic_load_n(&watch->ring->header.tail, __ATOMIC_ACQUIRE), when = now();
    for (; watch->head != head; watch->head++)
        given[watch->head % KEPT] = when;
    for (; watch->tail != tail; watch->tail++)
        if (when - given[watch->tail % KEPT] > watch->longest)
            watch->longest = when - given[watch->tail % KEPT];
    /* Include the record that still waits. */
    if (watch->tail != watch->head && when - given[watch->tail % KEPT] > watch->longest)
        watch->longest = when - given[watch->tail % KEPT];
}

static int told(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[16];
    return poll(&input, 1, 0) > 0 ? (read(STDIN_FILENO, line, sizeof line) > 0 ? 1 : -1) : 0;
}

int main(void)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct sockaddr_in address;
    int listener = listen_here(&address), asked;
    struct watch watch = {.ring = find_ring()};
    uint64_t next = now(), first, dropped = 0;
    first = watch.head = watch.tail = watch.ring->header.tail;
    while ((asked = told()) >= 0) {
        look(&watch);
        if (asked > 0) {
            uint64_t all = watch.ring->header.dropped;
            printf("%llu %llu %llu\n", (unsigned long long)(watch.longest / 1000),
                   (unsigned long long)(watch.tail - first), (unsigned long long)(all - dropped));
            (void)fflush(stdout);
            first = watch.tail;
            dropped = all;
            watch.longest = 0;
        }
        if (now() >= next) {
            connect_once(listener, &address);
            next += EVERY_NS;
        }
        nanosleep(&pause, NULL);
    }
    return 0;
}
