/* SPDX-License-Identifier: MIT */
/*
 * Finds out by trial which options bpf_setsockopt() accepts, since that depends on the kernel.
 *
 * An iterator program sets them on listeners and connections of this process, which are marked in a
 * map. This needs no cgroup and leaves nothing behind. UDP sockets need no trial: the kernel sets
 * options of SOL_SOCKET, IP and IPv6 by the same code for all protocols, BPF may set none of UDP's
 * own options, and the option table refuses those of TCP.
 */
#include "object.h"

#include "compat.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Creates a listening socket that only this machine can reach; -1 with errno. */
static int make_listener(int family)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool inet = family == AF_INET;
    const struct sockaddr *address = inet ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, address, inet ? sizeof v4 : sizeof v6) == 0 && listen(fd, 1) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Connects to that listener; -1 on failure. The connection is never accepted. */
static int connect_to(int listener)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof address;
    if (listener < 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        return -1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, length) == 0)
        return fd;
    close(fd);
    return -1;
}

static void open_sockets(int fds[TRIED])
{
    fds[TRIED_LISTENER4] = make_listener(AF_INET);
    fds[TRIED_LISTENER6] = make_listener(AF_INET6);
    fds[TRIED_CONNECTION4] = connect_to(fds[TRIED_LISTENER4]);
    fds[TRIED_CONNECTION6] = connect_to(fds[TRIED_LISTENER6]);
}

/* Marks the sockets for the BPF program. One address family may be missing on the machine. */
static int mark_sockets(const struct bpf_object *object, const int fds[TRIED],
                        struct attach_error *error)
{
    int map = object_map(object, "tried_sockets");
    unsigned marked = 0;
    for (uint32_t kind = 0; kind < TRIED; kind++)
        marked += fds[kind] >= 0 && bpf_map_update_elem(map, &fds[kind], &kind, BPF_ANY) == 0;
    return marked > 0 ? 0
                      : attach_fail(error, "cannot try options on a socket of its own: %s",
                                    strerror(errno));
}

/* Keeps the best result: some options are accepted only on listeners or only on connections. */
static void keep_best(struct attach_trial *trial)
{
    for (unsigned family = 0; family < TRIED_CONNECTION4; family++)
        if (trial->result[TRIED_CONNECTION4 + family] == 0)
            trial->result[family] = 0;
}

static int run_trials(const struct bpf_object *object, struct attach_trial *trials, uint32_t count,
                      struct attach_error *error)
{
    const struct attach_constants constants = {.trial_count = count};
    int fds[TRIED];
    open_sockets(fds);
    int failed = mark_sockets(object, fds, error);
    if (failed == 0)
        failed = object_fill(object, "trials", trials, sizeof *trials, count, error);
    if (failed == 0)
        failed = object_set_constants(object, &constants, error);
    if (failed == 0)
        failed = object_iterate(object, "socktune_try", error);
    for (uint32_t i = 0; failed == 0 && i < count; i++)
        if (bpf_map_lookup_elem(object_map(object, "trials"), &i, &trials[i]) == 0)
            keep_best(&trials[i]);
    for (unsigned kind = 0; kind < TRIED; kind++)
        if (fds[kind] >= 0)
            close(fds[kind]);
    return failed;
}

int attach_try(struct attach_trial *trials, uint32_t count, struct attach_error *error)
{
    struct bpf_object *object = object_open(error);
    if (object == NULL)
        return -1;
    for (uint32_t i = 0; i < count; i++)
        for (unsigned kind = 0; kind < TRIED; kind++)
            trials[i].result[kind] = -EOPNOTSUPP;
    object_want(object, "socktune_try");
    object_size(object, "trials", count);
    int failed = object_load(object, error);
    if (failed == 0)
        failed = run_trials(object, trials, count, error);
    bpf_object__close(object);
    return failed == 0 ? 0 : -1;
}

int attach_try_policy(const struct policy *policy, struct attach_result *results,
                      struct attach_error *error)
{
    struct attach_trial *trials = calloc(policy->action_count + 1u, sizeof *trials);
    if (trials == NULL)
        return attach_fail(error, "%s", strerror(errno));
    attach_trials_of(policy, trials);
    int failed = attach_try(trials, policy->action_count, error);
    for (uint32_t i = 0; failed == 0 && i < policy->action_count; i++)
        memcpy(results[i].error, trials[i].result, sizeof results[i].error);
    free(trials);
    return failed;
}
