/* SPDX-License-Identifier: MIT */
/*
 * Paths between two namespaces, their orders, and the report.
 */
#include "link/paths.h"

#include "link/tun.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS_MAX 16384 /* in flight in one direction */
#define RESTART     "restart "
#define WAY_BITS    48 /* the position of the way's number in its seed */

void link_die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("link: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

struct way *link_way(struct link *link, size_t i)
{
    return &link->paths[i / 2].ways[i % 2];
}

void link_be_late(struct link *link, uint64_t due, uint64_t now)
{
    uint64_t late = now > due ? now - due : 0;
    if (late > link->late_ns)
        link->late_ns = late;
    if (late > link->worst_late_ns)
        link->worst_late_ns = late;
}

static void seed_way(struct link *link, size_t number)
{
    link_way(link, number)->direction.seed = link->seed + ((uint64_t)(number + 1) << WAY_BITS);
}

static void open_way(struct link *link, size_t number, int from, int to)
{
    struct way *way = link_way(link, number);
    *way = (struct way){.from = from, .to = to, .flight = flight_open(PACKETS_MAX)};
    if (way->flight == NULL)
        link_die("out of memory");
    way->direction.settings = link_default_settings;
    seed_way(link, number);
}

static int open_end(int namespace, const char *name)
{
    int fd = tun_enter_namespace(namespace) == 0 ? tun_open(name) : -1;
    if (fd < 0)
        link_die("TUN device %s: %s", name, strerror(errno));
    return fd;
}

static void open_path(struct link *link, const char *name)
{
    struct path *path = &link->paths[link->path_count];
    size_t number = 2 * link->path_count;
    int near, far;
    if (link->path_count == PATHS_MAX)
        link_die("more than %d paths", PATHS_MAX);
    link->path_count++;
    snprintf(path->name, sizeof path->name, "%s", name);
    near = open_end(link->near, name);
    far = open_end(link->far, name);
    open_way(link, number, near, far);
    open_way(link, number + 1, far, near);
}

static struct path *find_path(struct link *link, const char *name)
{
    for (size_t i = 0; i < link->path_count; i++)
        if (strcmp(link->paths[i].name, name) == 0)
            return &link->paths[i];
    return NULL;
}

/* Restart the random numbers of all ways with a seed, at packet 0. */
static void restart(struct link *link, uint64_t seed)
{
    link->seed = seed;
    for (size_t i = 0; i < 2 * link->path_count; i++) {
        seed_way(link, i);
        link_way(link, i)->direction.packets = 0;
    }
}

/* NULL, or the error in the order; after an error, one of two directions may have changed. */
static const char *obey(struct link *link, const struct link_order *order)
{
    struct path *path = find_path(link, order->path);
    const char *wrong = path != NULL ? NULL : "there is no path of this name";
    for (unsigned i = 0; i < 2 && wrong == NULL; i++)
        if (order->bounds & 1U << i)
            wrong = link_apply(&path->ways[i].direction.settings, order->list);
    return wrong;
}

void link_report(struct link *link)
{
    const char *comma = "";
    printf("{\"late_us\":%" PRIu64 ",\"worst_late_us\":%" PRIu64 ",\"fifo\":%s,\"ways\":[",
           link->late_ns / 1000, link->worst_late_ns / 1000, link->fifo ? "true" : "false");
    for (size_t i = 0; i < 2 * link->path_count; i++) {
        const struct path *path = &link->paths[i / 2];
        const struct way *way = link_way(link, i);
        const uint64_t *counts = way->direction.counts;
        printf("%s{\"path\":\"%s\",\"bound\":\"%s\",\"packets\":%" PRIu64 ",\"passed\":%" PRIu64
               ",\"lost\":%" PRIu64 ",\"overflowed\":%" PRIu64 ",\"down\":%" PRIu64
               ",\"no_room\":%" PRIu64 ",\"bytes_passed\":%" PRIu64 "}",
               comma, path->name, i % 2 ? "back" : "out", way->direction.packets,
               counts[LINK_PASSES], counts[LINK_LOST], counts[LINK_OVERFLOWS], counts[LINK_DOWN],
               way->no_room, way->direction.bytes_passed);
        comma = ",";
    }
    puts("]}");
    link->late_ns = 0;
}

void link_answer(struct link *link, const char *line)
{
    struct link_order order;
    const char *wrong;
    if (strcmp(line, "report\n") == 0) {
        link_report(link);
        return;
    }
    if (strncmp(line, RESTART, strlen(RESTART)) == 0) {
        restart(link, strtoull(line + strlen(RESTART), NULL, 10));
        puts("ok");
        return;
    }
    wrong = link_parse_order(line, &order);
    if (wrong == NULL)
        wrong = obey(link, &order);
    if (wrong != NULL)
        printf("error: %s\n", wrong);
    else
        puts("ok");
}

void link_open(struct link *link, char *const *orders)
{
    struct link_order order;
    const char *wrong;
    link->near = tun_new_namespace();
    link->far = link->near < 0 ? -1 : tun_new_namespace();
    if (link->far < 0)
        link_die("network namespace: %s", strerror(errno));
    for (; *orders; orders++) {
        wrong = link_parse_order(*orders, &order);
        if (wrong == NULL && find_path(link, order.path) == NULL)
            open_path(link, order.path);
        if (wrong == NULL)
            wrong = obey(link, &order);
        if (wrong != NULL)
            link_die("%s: %s", *orders, wrong);
    }
}
