/* SPDX-License-Identifier: MIT */
/*
 * One word per descriptor: the generation of the rules, and how many connections of the queue at
 * the time of tuning are still to be accepted. A descriptor without a word (for example one
 * received from another process) counts as tuned by the rules of the start. Listeners beyond the
 * end of the table are tuned at each accept().
 *
 * Two threads may tune a listener at the same time. Each reads the queue length after it has set
 * the options, so whichever count is stored is large enough.
 */
#include "listeners.h"

#include "inherited.h"
#include "kernel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

enum { DESCRIPTORS = 65536 };

/* generation << 32 | connections. NULL: the program takes no new rules. */
static uint64_t *listeners;

void listeners_start(void)
{
    listeners = kernel_map(DESCRIPTORS * sizeof *listeners);
}

static bool has_listener_word(int fd)
{
    return (unsigned)fd < DESCRIPTORS;
}

static void store_listener_word(int fd, const struct rules_in_force *rules, uint32_t waiting)
{
    if (has_listener_word(fd))
        __atomic_store_n(&listeners[fd], rules->generation << 32 | waiting, __ATOMIC_RELEASE);
}

void listener_note(int fd, const struct rules_in_force *rules)
{
    if (listeners != NULL)
        store_listener_word(fd, rules, 0);
}

/* A listener's tcpi_unacked is the length of its queue (tcp_get_info() in net/ipv4/tcp.c). If the
 * length is unknown, all connections count as older. */
static uint32_t queue_length(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    return kernel_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
                   info.tcpi_state == TCP_LISTEN
               ? info.tcpi_unacked
               : UINT32_MAX;
}

static void tune_listener(int listener, const struct rules_in_force *rules)
{
    inherited_tune_listener(rules, listener);
    store_listener_word(listener, rules, queue_length(listener));
}

/* Decrements the count of queued connections; false if it is 0. */
static bool take_waiting(uint64_t *word) /* NOLINT(readability-non-const-parameter) */
{
    uint64_t now = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    while ((uint32_t)now != 0)
        if (__atomic_compare_exchange_n(word, &now, now - 1, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

bool listener_is_older(int listener, const struct rules_in_force *rules)
{
    if (listeners == NULL)
        return false;
    if (has_listener_word(listener) &&
        __atomic_load_n(&listeners[listener], __ATOMIC_ACQUIRE) >> 32 ==
            (uint32_t)rules->generation)
        return take_waiting(&listeners[listener]);
    tune_listener(listener, rules);
    return true;
}
