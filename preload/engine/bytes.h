/* SPDX-License-Identifier: MIT */
/*
 * Compares and hashes bytes without memcmp(): each function that the preloaded object imports is
 * looked up at each start of a program.
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

#define BYTES_HASH_BEGIN 0xcbf29ce484222325u

/* FNV-1a, continued from `hash`. Detects changes; does not resist attackers. */
static inline uint64_t bytes_hash(uint64_t hash, const void *bytes, size_t count)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ b[i]) * 0x100000001b3u;
    return hash;
}

#endif
