/* SPDX-License-Identifier: MIT */
/*
 * Connections that waited for the program: a listener that the program was started with may have
 * some in its queue (the one for which systemd starts a service, always). Their handshake was over
 * before anything was set on the listener, so they inherited nothing, and each must be given at
 * accept() what the others have from the listener.
 */
#ifndef SOCKTUNE_WAITING_H
#define SOCKTUNE_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many connections may still come that waited, or NULL; private to waiting_any(). */
extern const uint32_t *waiting_left;

static inline bool waiting_any(void)
{
    return __builtin_expect(waiting_left != NULL, 0) &&
           __atomic_load_n(waiting_left, __ATOMIC_RELAXED) != 0;
}

/* For the constructor, after it tuned the listener `fd`: remember how many connections wait in its
 * queue. Changes errno. */
void waiting_count(int fd);

/* May the connection just accepted from `listener` be one of those? Counts it if so: true at most
 * as often as connections waited, in each process. To be called only if waiting_any().
 * Async-signal-safe, thread-safe; changes errno. */
bool waiting_accepted(int listener);

#endif
