/* SPDX-License-Identifier: MIT */
#include "schedule.h"
#include "clock.h"

#include <stdlib.h>
#include <sys/epoll.h>

#define TICKS_A_SECOND (SECOND / POLLER_TICK_NS)
#define CATCH_UP       64u /* maximum reads of rings and kernel per tick */

struct schedule {
    struct helper *helper;
    struct loop_source *timer;
    struct loop_source *netlink;
    struct loop_source *pause; /* one-shot timer */
    uint64_t ticks;
};

/* Reads records before ends. Returns whether the kernel has more messages. */
static bool read_once(const struct helper *helper)
{
    client_table_read(helper->clients);
    report_sources_read(helper->reports);
    return poller_read(helper->poller);
}

/* The kernel wakes its reader for each end of a connection, and a wake-up costs more than the
 * processing. So after a read the socket is suspended for a while, unless a dump is in progress. */
static void pause_reading(struct schedule *schedule)
{
    const struct poller *poller = schedule->helper->poller;
    bool rests = !poller_is_dumping(poller);
    loop_rest(schedule->helper->loop, schedule->netlink, rests);
    loop_timer_set(schedule->pause, rests ? poller_patience(poller) + 1 : 0, 0);
}

static void end_pause(void *context)
{
    struct schedule *schedule = context;
    loop_rest(schedule->helper->loop, schedule->netlink, false);
}

static void netlink_ready(void *context, uint32_t events)
{
    struct schedule *schedule = context;
    struct helper *helper = schedule->helper;
    uint64_t begin = now_monotonic();
    (void)events;
    if (!read_once(helper))
        pause_reading(schedule);
    helper->counts.sampling_time += now_monotonic() - begin;
}

static void each_second(struct helper *helper)
{
    poller_each_second(helper->poller);
    client_table_each_second(helper->clients);
    report_sources_each_second(helper->reports);
    publisher_each_second(helper->publisher);
    connections_merge_ports(helper->connections, !helper->config.series_ports);
    connections_expire(helper->connections, now_monotonic(), helper->config.series_keep * SECOND);
    trials_each_second(helper->trials, now_real());
    helper_log_tick();
}

static void handle_tick(void *context)
{
    struct schedule *schedule = context;
    struct helper *helper = schedule->helper;
    uint64_t begin = now_monotonic();
    bool more = true;
    for (unsigned i = 0; i < CATCH_UP && more; i++)
        more = read_once(helper);
    poller_look(helper->poller);
    publisher_work(helper->publisher);
    if (++schedule->ticks % TICKS_A_SECOND == 0)
        each_second(helper);
    if (!more)
        pause_reading(schedule);
    helper->counts.sampling_time += now_monotonic() - begin;
}

struct schedule *schedule_start(struct helper *helper)
{
    struct schedule *schedule = calloc(1, sizeof *schedule);
    if (schedule == NULL)
        return NULL;
    schedule->helper = helper;
    schedule->timer = loop_timer(helper->loop, POLLER_TICK_NS, handle_tick, schedule);
    schedule->netlink =
        loop_watch(helper->loop, poller_fd(helper->poller), EPOLLIN, netlink_ready, schedule);
    schedule->pause = loop_timer(helper->loop, 0, end_pause, schedule);
    if (schedule->timer != NULL && schedule->netlink != NULL && schedule->pause != NULL)
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
    loop_remove(schedule->helper->loop, schedule->pause);
    free(schedule);
}
