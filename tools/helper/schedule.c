/* SPDX-License-Identifier: MIT */
#include "schedule.h"
#include "clock.h"

#include <stdlib.h>
#include <sys/epoll.h>

#define TICKS_A_SECOND (SECOND / POLLER_TICK_NS)
#define CATCH_UP       64u /* times that rings and kernel are read in one tick */

struct schedule {
    struct helper *helper;
    struct loop_source *timer;
    struct loop_source *netlink;
    uint64_t ticks;
};

/* Beginnings before ends. Returns whether the kernel has more to tell. */
static bool read_once(const struct helper *helper)
{
    client_table_read(helper->clients);
    return poller_read(helper->poller);
}

static void netlink_ready(void *context, uint32_t events)
{
    struct helper *helper = ((struct schedule *)context)->helper;
    uint64_t begin = now_monotonic();
    (void)events;
    (void)read_once(helper);
    helper->counts.sampling_time += now_monotonic() - begin;
}

static void each_second(struct helper *helper)
{
    poller_each_second(helper->poller);
    client_table_each_second(helper->clients);
    connections_merge_ports(helper->connections, !helper->config.series_ports);
    connections_expire(helper->connections, now_monotonic(), helper->config.series_keep * SECOND);
    trials_each_second(helper->trials, now_real());
    helper_log_tick();
}

static void tick(void *context)
{
    struct schedule *schedule = context;
    struct helper *helper = schedule->helper;
    uint64_t begin = now_monotonic();
    for (unsigned i = 0; i < CATCH_UP && read_once(helper); i++)
        continue;
    poller_look(helper->poller);
    if (++schedule->ticks % TICKS_A_SECOND == 0)
        each_second(helper);
    helper->counts.sampling_time += now_monotonic() - begin;
}

struct schedule *schedule_start(struct helper *helper)
{
    struct schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL)
        return NULL;
    schedule->helper = helper;
    schedule->timer = loop_timer(helper->loop, POLLER_TICK_NS, tick, schedule);
    schedule->netlink =
        loop_watch(helper->loop, poller_fd(helper->poller), EPOLLIN, netlink_ready, schedule);
    if (schedule->timer != NULL && schedule->netlink != NULL)
        return schedule;
    schedule_stop(schedule);
    return NULL;
}

void schedule_stop(struct schedule *schedule)
{
    if (schedule == NULL)
        return;
    loop_remove(schedule->helper->loop, schedule->timer);
    loop_remove(schedule->helper->loop, schedule->netlink);
    free(schedule);
}
