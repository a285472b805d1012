/* SPDX-License-Identifier: MIT */
/*
 * The helper's time. All times inside are CLOCK_MONOTONIC nanoseconds, so that a wall clock that is
 * set makes no connection end before it began. Times that people or programs give or get are
 * CLOCK_REALTIME and are converted here.
 */
#ifndef SOCKTUNE_HELPER_CLOCK_H
#define SOCKTUNE_HELPER_CLOCK_H

#include <stdint.h>

#define SECOND      UINT64_C(1000000000)
#define MILLISECOND UINT64_C(1000000)

/* CLOCK_MONOTONIC and CLOCK_REALTIME, nanoseconds. */
uint64_t now_monotonic(void);
uint64_t now_real(void);

/* The wall clock's time of a moment, as the wall clock is set now. Two calls give one moment the
 * same time unless the clock was set in between (by more than 50 ms). */
uint64_t clock_to_real(uint64_t monotonic);

/* The moment at which the wall clock, as it is set now, showed `real`. What would lie in the future
 * or more than `most` nanoseconds back is not believed: now. */
uint64_t clock_from_real(uint64_t real, uint64_t most);

#endif
