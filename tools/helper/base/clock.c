/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <time.h>

#define STEP_NS INT64_C(50000000)

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;
    (void)clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

uint64_t now_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t now_real(void)
{
    return read_clock(CLOCK_REALTIME);
}

/* Keeps the offset while its error is small, since the offset of a slewed clock changes all the
 * time. */
static uint64_t real_offset(void)
{
    static uint64_t kept;
    uint64_t offset = now_real() - now_monotonic();
    int64_t change = (int64_t)(offset - kept);
    if (change > STEP_NS || change < -STEP_NS)
        kept = offset;
    return kept;
}

uint64_t clock_to_real(uint64_t monotonic)
{
    return monotonic + real_offset();
}

uint64_t clock_from_real(uint64_t real, uint64_t most)
{
    uint64_t now = now_real();
    uint64_t age = real <= now && now - real <= most ? now - real : 0;
    uint64_t monotonic = now_monotonic();
    return age < monotonic ? monotonic - age : monotonic;
}
