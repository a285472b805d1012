/* SPDX-License-Identifier: MIT */
/*
 * New rules for a running program. The program allocates memory that it shares with the helper,
 * like its ring: a memfd that cannot be resized, so that neither side can kill the other (SIGBUS).
 * The helper (publisher) writes a compiled policy there; the program and its forked children copy
 * it.
 *
 *   publisher: generation odd | policy, size | generation even
 *   program:   generation even? | copy | the same generation still?
 *
 * Nobody waits. If the publisher is writing, or has written during the copy, the program retries at
 * its next call. A process with write access can change this memory at any time. So the copy is
 * private and is checked completely before any reference in it is followed, and no number outside
 * the copy is read twice.
 */
#ifndef SOCKTUNE_PUBLISHED_H
#define SOCKTUNE_PUBLISHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUBLISHED_MAGIC "STRULES1"
/* Default room for a policy, in bytes: about 400 rules for one program. */
#define PUBLISHED_ROOM 65536u

/* Fields with different writers are in different cache lines. */
struct published {
    char magic[8];
    uint32_t room; /* bytes after this struct */
    uint32_t reserved1;
    uint64_t generation
        __attribute__((aligned(64))); /* publisher: 0: none yet; odd: being written */
    uint32_t size;                    /* publisher: bytes of the policy */
    uint32_t reserved2;
    uint64_t adopted __attribute__((aligned(64))); /* program: the generation in force */
    uint64_t refused; /* program: the last generation that it refused */
    uint32_t reason;  /* program: enum published_answer, the reason */
    uint32_t reserved3;
    uint8_t policy[] __attribute__((aligned(64)));
};
_Static_assert(sizeof(struct published) == 192, "the same on every architecture");

#define PUBLISHED_SIZE(room) (sizeof(struct published) + (size_t)(room))

/* Initialize zeroed memory of PUBLISHED_SIZE(room) bytes. `generation` is that of the rules in
 * force, from older memory; 0 for the program's first memory. The next published policy gets
 * another generation. */
void published_init(struct published *published, uint32_t room, uint64_t generation);

/* Publish a policy. False if it does not fit. `room` is the publisher's own value, not the one in
 * the shared memory. Only one publisher at a time. */
bool published_put(struct published *published, uint32_t room, const void *policy, uint32_t size);

/* Returns the published generation, or 0 if there is none or the publisher is writing. Hooks call
 * this: one load, no system call. */
static inline uint64_t published_generation(const struct published *published)
{
    uint64_t generation = __atomic_load_n(&published->generation, __ATOMIC_ACQUIRE);
    return (generation & 1) == 0 ? generation : 0;
}

enum published_answer {
    PUBLISHED_TAKEN,
    PUBLISHED_AGAIN,     /* the publisher was writing: retry later */
    PUBLISHED_TOO_LARGE, /* does not fit into the copy */
    PUBLISHED_MALFORMED, /* not a valid policy of this version */
    PUBLISHED_NO_SLOT,   /* all slots for rules are in use: retried later */
    PUBLISHED_CONFINED   /* a seccomp filter is active; the program keeps its rules */
};

/* Copy the published policy to `copy` (aligned to 8), which has `room` bytes. Sets `size` and
 * `generation` if it returns PUBLISHED_TAKEN. Async-signal-safe, makes no system call. */
enum published_answer published_copy(const struct published *published, void *copy, uint32_t room,
                                     uint32_t *size, uint64_t *generation);

#endif
