/* SPDX-License-Identifier: MIT */
/*
 * Counts the connections that were in the accept queue at the start. The queue is first in, first
 * out, so the first N accepted sockets are those connections. Another process that shares the
 * listener may accept some of them; then a few later sockets get options that they have already,
 * which does no harm. Listeners are identified by their cookie, since they may be moved to another
 * descriptor.
 *
 * Only these counts change after the constructor, and they only decrease. They are in a mapping of
 * their own, because the object's data is read-only by then (protect.h).
 */
#include "backlog.h"

#include "compat.h"
#include "kernel.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/* Queued connections of further listeners are not counted. */
enum { LISTENERS_MAX = 16 };

struct waiting {
    uint32_t left; /* sum over all listeners */
    uint32_t listener_count;
    struct {
        uint64_t cookie;
        uint32_t left;
    } listeners[LISTENERS_MAX];
};

/* NULL: no connection was queued. Only the constructor writes it. */
static struct waiting *waiting;

const uint32_t *waiting_left;

void waiting_count(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    if (kernel_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
        info.tcpi_state != TCP_LISTEN || info.tcpi_unacked == 0)
        return;
    uint64_t cookie = kernel_get_cookie(fd, SO_COOKIE);
    if (waiting == NULL)
        waiting = kernel_map(sizeof *waiting);
    if (cookie == 0 || waiting == NULL || waiting->listener_count == LISTENERS_MAX)
        return;
    waiting_left = &waiting->left;
    /* A listener's tcpi_unacked is the length of its queue (tcp_get_info() in net/ipv4/tcp.c). */
    waiting->listeners[waiting->listener_count].cookie = cookie;
    waiting->listeners[waiting->listener_count++].left = info.tcpi_unacked;
    waiting->left += info.tcpi_unacked;
}

/* Decrements the count; false if it is 0 already. */
static bool
decrement(uint32_t *count) /* NOLINT(readability-non-const-parameter): it is written to */
{
    uint32_t left = __atomic_load_n(count, __ATOMIC_RELAXED);
    while (left != 0)
        if (__atomic_compare_exchange_n(count, &left, left - 1, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            return true;
    return false;
}

bool waiting_accepted(int listener)
{
    uint64_t cookie = kernel_get_cookie(listener, SO_COOKIE);
    if (cookie == 0)
        return false;
    for (uint32_t i = 0; i < waiting->listener_count; i++)
        if (waiting->listeners[i].cookie == cookie && decrement(&waiting->listeners[i].left))
            return decrement(&waiting->left);
    return false;
}
