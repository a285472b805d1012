/* SPDX-License-Identifier: MIT */
/*
 * The helper's time. All times inside are CLOCK_MONOTONIC in nanoseconds, so setting the wall clock
 * never makes a connection end before it began. Times for people and programs are CLOCK_REALTIME,
 * and are converted here.
 */
#ifndef SOCKTUNE_HELPER_CLOCK_H
#define SOCKTUNE_HELPER_CLOCK_H

#include <stdint.h>

#define SECOND      UINT64_C(1000000000)
#define MILLISECOND UINT64_C(1000000)

/* CLOCK_MONOTONIC and CLOCK_REALTIME, nanoseconds. */
uint64_t now_monotonic(void);
uint64_t now_real(void);

/* Convert CLOCK_MONOTONIC to CLOCK_REALTIME, by the current offset of the two. Two calls return the
 * same time unless the wall clock was set in between by more than 50 ms. */
uint64_t clock_to_real(uint64_t monotonic);

/* Convert CLOCK_REALTIME to CLOCK_MONOTONIC. Returns the current time if `real` is in the future or
 * more than `most` nanoseconds ago. */
uint64_t clock_from_real(uint64_t real, uint64_t most);

#endif
