/* SPDX-License-Identifier: MIT */
/*
 * A socket of another network namespace is made by a child that shares our descriptors and leaves
 * it at a number that we have reserved. Threads would not do: only a process of one thread may
 * enter another user namespace.
 */
#include "fresh_socket.h"
#include "kernel_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const struct fresh *fresh_find(const struct fresh_sockets *sockets, uint64_t network, int domain,
                               int type, int protocol)
{
    for (size_t i = 0; i < sockets->count; i++) {
        const struct fresh *one = &sockets->items[i];

        if (one->network == network && one->domain == domain && one->type == type &&
            one->protocol == protocol)
            return one;
    }
    return NULL;
}

static uint64_t own_network(void)
{
    struct stat status;

    return stat("/proc/self/ns/net", &status) == 0 ? status.st_ino : 0;
}

/* In the child: leave the socket at `place`. */
static bool make_inside(const struct lender *lender, const struct fresh *fresh, int place)
{
    int fd;

    if (setns(lender->pidfd, CLONE_NEWNET) != 0 &&
        setns(lender->pidfd, CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    fd = socket(fresh->domain, fresh->type | SOCK_CLOEXEC, fresh->protocol);
    return fd >= 0 && dup3(fd, place, O_CLOEXEC) == place && close(fd) == 0;
}

/* A socket of the lender's network namespace, or -1. */
static int make_elsewhere(const struct lender *lender, const struct fresh *fresh)
{
    int place = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int status = -1;
    pid_t child;

    if (place < 0)
        return -1;
    child = (pid_t)syscall(SYS_clone, (long)CLONE_FILES | SIGCHLD, 0L, 0L, 0L, 0L);
    if (child == 0)
        _exit(make_inside(lender, fresh, place) ? 0 : 1);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (child > 0 && status == 0)
        return place;
    close(place);
    return -1;
}

static void open_fresh(const struct lender *lender, struct fresh *fresh)
{
    if (lender->network && lender->network != own_network()) {
        fresh->fd = make_elsewhere(lender, fresh);
        fresh->elsewhere = fresh->fd < 0;
        if (fresh->fd >= 0)
            return;
    }
    fresh->fd = socket(fresh->domain, fresh->type | SOCK_CLOEXEC, fresh->protocol);
}

/* Returns 0, or -1 with errno. */
static int make(const struct policy *policy, const struct lender *lender, struct fresh *fresh)
{
    if (policy) {
        fresh->defaults = calloc(policy->option_count + 1u, sizeof *fresh->defaults);
        if (!fresh->defaults)
            return -1;
    }
    open_fresh(lender, fresh);
    if (policy && fresh->fd >= 0)
        defaults_note(KERNEL_SOCKET(fresh->fd), policy, fresh->defaults);
    return 0;
}

const struct fresh *fresh_get(struct fresh_sockets *sockets, const struct lender *lender,
                              int domain, int type, int protocol)
{
    const struct fresh *known = fresh_find(sockets, lender->network, domain, type, protocol);
    struct fresh *larger;

    if (known)
        return known;
    if (sockets->count == sockets->room) {
        larger = reallocarray(sockets->items, 2 * sockets->room + 8, sizeof *larger);
        if (!larger)
            return NULL;
        sockets->items = larger;
        sockets->room = 2 * sockets->room + 8;
    }
    larger = &sockets->items[sockets->count];
    *larger = (struct fresh){lender->network, domain, type, protocol, -1, false, NULL};
    if (make(sockets->policy, lender, larger) != 0)
        return NULL;
    sockets->count++;
    return larger;
}

void fresh_free(struct fresh_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->items[i].fd >= 0)
            close(sockets->items[i].fd);
        free(sockets->items[i].defaults);
    }
    free(sockets->items);
    *sockets = (struct fresh_sockets){0};
}
