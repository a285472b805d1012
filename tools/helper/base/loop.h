/* SPDX-License-Identifier: MIT */
/*
 * The helper's event loop: ready descriptors and expired timers call functions, one at a time, in
 * one thread. Each function must do a bounded amount of work and return.
 */
#ifndef SOCKTUNE_HELPER_LOOP_H
#define SOCKTUNE_HELPER_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;

/* `events`: EPOLLIN and so on. */
typedef void loop_ready(void *context, uint32_t events);
typedef void loop_tick(void *context);

/* NULL with errno. */
struct loop *loop_new(void);
void loop_free(struct loop *loop);

/* Watch `fd` (level-triggered). The descriptor stays the caller's. NULL with errno. */
struct loop_source *loop_watch(struct loop *loop, int fd, uint32_t events, loop_ready *ready,
                               void *context);

/* Call `tick` every `interval` nanoseconds (0: only after loop_timer_set()). NULL with errno. */
struct loop_source *loop_timer(struct loop *loop, uint64_t interval, loop_tick *tick,
                               void *context);

/* Change the timer. `first`: nanoseconds until the first call (0: one `interval`); `interval`:
 * nanoseconds between calls. Both 0: stop the timer. */
void loop_timer_set(struct loop_source *timer, uint64_t first, uint64_t interval);

/* Suspend (`rests`) or resume a watched source. Data that arrives meanwhile is read after
 * resuming. */
void loop_rest(struct loop *loop, struct loop_source *source, bool rests);

/* Remove a source; may be called from within its own function. NULL does nothing. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* Run until loop_stop(). Returns 0, or -1 with errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
bool loop_is_stopped(const struct loop *loop);

#endif
