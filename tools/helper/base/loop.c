/* SPDX-License-Identifier: MIT */
/*
 * epoll, with one timerfd per timer.
 */
#include "loop.h"
#include "clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_AT_ONCE 64

struct loop_source {
    int fd;
    uint32_t events;
    loop_ready *ready; /* NULL: a timer, which owns its descriptor */
    loop_tick *tick;
    void *context;
    bool removed;
    struct loop_source *next_removed;
};

struct loop {
    int epoll;
    bool running;
    /* Removed in this round: events fetched before may still point to them. */
    struct loop_source *removed;
};

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0) {
        free(loop);
        return NULL;
    }
    return loop;
}

static void free_removed(struct loop *loop)
{
    while (loop->removed != NULL) {
        struct loop_source *source = loop->removed;
        loop->removed = source->next_removed;
        free(source);
    }
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    free_removed(loop);
    (void)close(loop->epoll);
    free(loop);
}

static struct loop_source *add_source(struct loop *loop, const struct loop_source *like,
                                      uint32_t events)
{
    struct loop_source *source = malloc(sizeof *source);
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (source == NULL)
        return NULL;
    *source = *like;
    source->events = events;
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, source->fd, &event) != 0) {
        free(source);
        return NULL;
    }
    return source;
}

struct loop_source *loop_watch(struct loop *loop, int fd, uint32_t events, loop_ready *ready,
                               void *context)
{
    return add_source(loop, &(struct loop_source){.fd = fd, .ready = ready, .context = context},
                      events);
}

struct loop_source *loop_timer(struct loop *loop, uint64_t interval, loop_tick *tick, void *context)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct loop_source *timer;
    if (fd < 0)
        return NULL;
    timer = add_source(loop, &(struct loop_source){.fd = fd, .tick = tick, .context = context},
                       EPOLLIN);
    if (timer == NULL) {
        (void)close(fd);
        return NULL;
    }
    loop_timer_set(timer, 0, interval);
    return timer;
}

static struct timespec to_timespec(uint64_t nanoseconds)
{
    return (struct timespec){(time_t)(nanoseconds / SECOND), (long)(nanoseconds % SECOND)};
}

void loop_timer_set(struct loop_source *timer, uint64_t first, uint64_t interval)
{
    struct itimerspec setting = {to_timespec(interval), to_timespec(first ? first : interval)};
    (void)timerfd_settime(timer->fd, 0, &setting, NULL);
}

void loop_rest(struct loop *loop, struct loop_source *source, bool rests)
{
    struct epoll_event event = {.events = rests ? 0 : source->events, .data.ptr = source};
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_MOD, source->fd, &event);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    if (source == NULL)
        return;
    (void)epoll_ctl(loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    if (source->ready == NULL)
        (void)close(source->fd);
    source->removed = true;
    source->next_removed = loop->removed;
    loop->removed = source;
}

static void call_source(const struct loop_source *source, uint32_t events)
{
    uint64_t ticks;
    if (source->removed)
        return;
    if (source->ready != NULL)
        source->ready(source->context, events);
    else if (read(source->fd, &ticks, sizeof ticks) == (ssize_t)sizeof ticks)
        source->tick(source->context);
}

int loop_run(struct loop *loop)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    loop->running = true;
    while (loop->running) {
        int count = epoll_wait(loop->epoll, events, EVENTS_AT_ONCE, -1);
        if (count < 0 && errno != EINTR)
            return -1;
        for (int i = 0; i < count && loop->running; i++)
            call_source(events[i].data.ptr, events[i].events);
        free_removed(loop);
    }
    return 0;
}

void loop_stop(struct loop *loop)
{
    loop->running = false;
}

bool loop_is_stopped(const struct loop *loop)
{
    return !loop->running;
}
