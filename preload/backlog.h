/* SPDX-License-Identifier: MIT */
/*
 * Connections that were already in the accept queue when the program started. A listener that the
 * program inherits may have some; with systemd's socket activation there is always one. Their
 * handshake was complete before any option was set on the listener, so they inherited nothing.
 * accept() must give them everything.
 */
#ifndef SOCKTUNE_WAITING_H
#define SOCKTUNE_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many such connections are left, or NULL if there were none. Private to waiting_any(). */
extern const uint32_t *waiting_left;

static inline bool waiting_any(void)
{
    return __builtin_expect(waiting_left != NULL, 0) &&
           __atomic_load_n(waiting_left, __ATOMIC_RELAXED) != 0;
}

/* Remember how many connections are in the accept queue of `fd`. Call it in the constructor, after
 * the listener was tuned. Changes errno. */
void waiting_count(int fd);

/* True if the connection just accepted from `listener` may be one of those; counts it then. In each
 * process it is true at most as often as connections were queued. Call it only if waiting_any().
 * Async-signal-safe, thread-safe; changes errno. */
bool waiting_accepted(int listener);

#endif
