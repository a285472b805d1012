/* SPDX-License-Identifier: MIT */
/*
 * The publisher's access to the memory that a program has allocated for new rules
 * (preload/wire/published.h). The program can write anything there at any time.
 */
#ifndef SOCKTUNE_HELPER_PUBLISHED_MEMORY_H
#define SOCKTUNE_HELPER_PUBLISHED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The location: a sealed memfd, and an offset in it. */
struct published_memory {
    int fd;
    size_t offset; /* of struct published: a multiple of the page size */
    uint32_t room; /* maximum bytes of a policy */
};

/* The program's answers. */
struct published_answers {
    uint64_t adopted, refused; /* generations */
    uint32_t reason;           /* enum published_answer, or any other value */
};

/* Publish a policy. Returns its generation; 0 if it does not fit or there is no memory. */
uint64_t published_memory_put(const struct published_memory *memory, const void *policy,
                              uint32_t size);

/* Read the answers. False on failure. */
bool published_memory_read(const struct published_memory *memory,
                           struct published_answers *answers);

#endif
