/* SPDX-License-Identifier: MIT */
/*
 * A socket of another network namespace is made by a child that shares our descriptors and leaves
 * it at a number that we have reserved. Threads would not do: only a process of one thread may
 * enter another user namespace.
 */
#include "default_sockets.h"
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

const struct default_socket *default_sockets_find(const struct default_sockets *sockets,
                                                  uint64_t network, int domain, int type,
                                                  int protocol)
{
    for (size_t i = 0; i < sockets->count; i++) {
        const struct default_socket *one = &sockets->items[i];
        if (one->network == network && one->domain == domain && one->type == type &&
            one->protocol == protocol)
            return one;
    }
    return NULL;
}

static uint64_t own_network_namespace(void)
{
    struct stat status;
    return stat("/proc/self/ns/net", &status) == 0 ? status.st_ino : 0;
}

/* In the child: leave the socket at `place`. */
static bool make_in_namespace(const struct socket_owner *owner, const struct default_socket *one,
                              int place)
{
    int fd;
    if (setns(owner->pidfd, CLONE_NEWNET) != 0 &&
        setns(owner->pidfd, CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    fd = socket(one->domain, one->type | SOCK_CLOEXEC, one->protocol);
    return fd >= 0 && dup3(fd, place, O_CLOEXEC) == place && close(fd) == 0;
}

/* A socket of the owner's network namespace, or -1. */
static int make_elsewhere(const struct socket_owner *owner, const struct default_socket *one)
{
    int place = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int status = -1;
    pid_t child;
    if (place < 0)
        return -1;
    child = (pid_t)syscall(SYS_clone, (long)CLONE_FILES | SIGCHLD, 0L, 0L, 0L, 0L);
    if (child == 0)
        _exit(make_in_namespace(owner, one, place) ? 0 : 1);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (child > 0 && status == 0)
        return place;
    close(place);
    return -1;
}

static void default_socket_open(const struct socket_owner *owner, struct default_socket *one)
{
    if (owner->network && owner->network != own_network_namespace()) {
        one->fd = make_elsewhere(owner, one);
        one->elsewhere = one->fd < 0;
        if (one->fd >= 0)
            return;
    }
    one->fd = socket(one->domain, one->type | SOCK_CLOEXEC, one->protocol);
}

/* Returns 0, or -1 with errno. */
static int default_socket_make(const struct policy *policy, const struct socket_owner *owner,
                               struct default_socket *one)
{
    if (policy != NULL) {
        one->defaults = calloc(policy->option_count + 1u, sizeof *one->defaults);
        if (one->defaults == NULL)
            return -1;
    }
    default_socket_open(owner, one);
    if (policy != NULL && one->fd >= 0)
        defaults_note(KERNEL_SOCKET(one->fd), policy, one->defaults);
    return 0;
}

const struct default_socket *default_sockets_get(struct default_sockets *sockets,
                                                 const struct socket_owner *owner, int domain,
                                                 int type, int protocol)
{
    const struct default_socket *known =
        default_sockets_find(sockets, owner->network, domain, type, protocol);
    struct default_socket *larger;
    if (known != NULL)
        return known;
    if (sockets->count == sockets->room) {
        larger = reallocarray(sockets->items, 2 * sockets->room + 8, sizeof *larger);
        if (larger == NULL)
            return NULL;
        sockets->items = larger;
        sockets->room = 2 * sockets->room + 8;
    }
    larger = &sockets->items[sockets->count];
    *larger = (struct default_socket){owner->network, domain, type, protocol, -1, false, NULL};
    if (default_socket_make(sockets->policy, owner, larger) != 0)
        return NULL;
    sockets->count++;
    return larger;
}

void default_sockets_free(struct default_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        if (sockets->items[i].fd >= 0)
            close(sockets->items[i].fd);
        free(sockets->items[i].defaults);
    }
    free(sockets->items);
    *sockets = (struct default_sockets){0};
}
