/* SPDX-License-Identifier: MIT */
/*
 * A signal ends the kernel's wait (sk_stream_wait_close() in net/core/stream.c), and nothing else
 * of the close. So while descriptors are being closed, a timer sends one every few milliseconds. It
 * is left running for a second, since to set it costs more than all the rest; other calls go on in
 * spite of it (SA_RESTART). Where no timer can be had, closing may wait.
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
    bool used; /* since deferred_close_tick() */
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
    /* Again and again: the first may come before the wait has begun. */
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
