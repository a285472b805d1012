/* SPDX-License-Identifier: MIT */
/*
 * A signal ends the kernel's wait (sk_stream_wait_close() in net/core/stream.c), but not the close
 * itself. So while descriptors are being closed, a timer sends a signal every few milliseconds. It
 * keeps running for a second, since setting it costs more than everything else. Other calls are
 * restarted (SA_RESTART). If no timer can be created, closing may block.
 */
#include "deferred_close.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_NS 5000000

static struct {
    timer_t timer;
    bool tried, made, armed;
    bool used; /* since the last deferred_close_tick() */
} alarm_clock;

static void ignore_alarm(int number)
{
    (void)number;
}

static bool make_timer(timer_t *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
    struct sigaction action = {.sa_handler = ignore_alarm, .sa_flags = SA_RESTART};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    return sigaction(SIGALRM, &action, NULL) == 0 &&
           timer_create(CLOCK_MONOTONIC, &event, timer) == 0;
}

static void set_timer(long nanoseconds)
{
    /* repeat: the first signal may come before the wait has begun */
    const struct itimerspec setting = {.it_value.tv_nsec = nanoseconds,
                                       .it_interval.tv_nsec = nanoseconds};
    alarm_clock.armed = timer_settime(alarm_clock.timer, 0, &setting, NULL) == 0 && nanoseconds > 0;
}

void deferred_close(int fd)
{
    if (!alarm_clock.tried)
        alarm_clock.made = make_timer(&alarm_clock.timer);
    alarm_clock.tried = true;
    alarm_clock.used = true;
    if (alarm_clock.made && !alarm_clock.armed)
        set_timer(PATIENCE_NS);
    (void)close(fd);
}

void deferred_close_tick(void)
{
    if (alarm_clock.armed && !alarm_clock.used)
        set_timer(0);
    alarm_clock.used = false;
}
