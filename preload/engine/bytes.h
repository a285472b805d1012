/* SPDX-License-Identifier: MIT */
/*
 * Comparing bytes without memcmp(): every function that the preloaded object imports is looked up
 * at every start of a program.
 */
#ifndef SOCKTUNE_BYTES_H
#define SOCKTUNE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool bytes_equal(const void *a, const void *b, size_t count)
{
    const uint8_t *x = a, *y = b;
    while (count > 0 && *x == *y) {
        x++;
        y++;
        count--;
    }
    return count == 0;
}

#endif
