/* SPDX-License-Identifier: MIT */
/*
 * Which settings bpf_setsockopt() takes is found out by making them: another kernel takes others.
 *
 * An iterator program makes them on listening sockets of this process, which it knows by a mark in
 * a map. No cgroup is needed for that, and nothing is left behind.
 */
#include "object.h"

#include "compat.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A listening socket that only the host itself reaches; -1 with errno. */
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

/* A machine may be without one of the two. */
static bool mark_listener(const struct bpf_object *object, int fd)
{
    uint32_t mark = 1;
    return fd >= 0 &&
           bpf_map_update_elem(object_map(object, "tried_sockets"), &fd, &mark, BPF_ANY) == 0;
}

static int run_trials(const struct bpf_object *object, struct attach_trial *trials, uint32_t count,
                      struct attach_error *error)
{
    const struct attach_constants constants = {.trial_count = count};
    int v4 = make_listener(AF_INET), v6 = make_listener(AF_INET6);
    bool marked4 = mark_listener(object, v4), marked6 = mark_listener(object, v6);
    int failed = 0;
    if (!marked4 && !marked6)
        failed =
            attach_fail(error, "cannot try options on a socket of its own: %s", strerror(errno));
    if (failed == 0)
        failed = object_fill(object, "trials", trials, sizeof *trials, count, error);
    if (failed == 0)
        failed = object_set_constants(object, &constants, error);
    if (failed == 0)
        failed = object_iterate(object, "socktune_try", error);
    for (uint32_t i = 0; failed == 0 && i < count; i++)
        bpf_map_lookup_elem(object_map(object, "trials"), &i, &trials[i]);
    if (v4 >= 0)
        close(v4);
    if (v6 >= 0)
        close(v6);
    return failed;
}

int attach_try(struct attach_trial *trials, uint32_t count, struct attach_error *error)
{
    struct bpf_object *object = object_open(error);
    if (object == NULL)
        return -1;
    for (uint32_t i = 0; i < count; i++)
        trials[i].result[0] = trials[i].result[1] = -EOPNOTSUPP;
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
