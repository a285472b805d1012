/* SPDX-License-Identifier: MIT */
/*
 * The memory that a program has set aside for new rules (preload/wire/published.h), as the
 * publisher uses it. The program can write anything there at any time.
 */
#ifndef SOCKTUNE_HELPER_PUBLISHED_MEMORY_H
#define SOCKTUNE_HELPER_PUBLISHED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where it is: a sealed memfd, and the place in it. */
struct published_memory {
    int fd;
    size_t offset; /* of struct published: a multiple of the page size */
    uint32_t room; /* bytes of a policy that it takes */
};

/* What the program has answered. */
struct published_answers {
    uint64_t adopted, refused; /* generations */
    uint32_t reason;           /* enum published_answer, or anything else */
};

/* Put a policy there. Its generation, or 0: it does not fit, or there is no memory. */
uint64_t published_memory_put(const struct published_memory *memory, const void *policy,
                              uint32_t size);

/* Read the answers. False on failure. */
bool published_memory_read(const struct published_memory *memory,
                           struct published_answers *answers);

#endif
