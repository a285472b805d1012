/* SPDX-License-Identifier: MIT */
/*
 * New rules for a running program. The program sets memory aside, which it shares with the helper
 * as it shares its ring: a memfd that can be neither shortened nor enlarged, so that neither of
 * them can be ended by the other (SIGBUS). The helper, the publisher, puts a compiled policy there;
 * the program, and its forked children, take a copy.
 *
 *   publisher: generation odd | policy, size | generation even
 *   program:   generation even? | copy | the same generation still?
 *
 * Nobody waits. A program that finds the publisher at work, or overtaken by it, looks again at its
 * next call. Whoever can write the memory can write anything at any time: the copy is private, and
 * is checked whole before anything in it is followed; no number outside the copy is used twice.
 */
#ifndef SOCKTUNE_PUBLISHED_H
#define SOCKTUNE_PUBLISHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUBLISHED_MAGIC "STRULES1"
/* Bytes of a policy that fit, by default: some 400 rules for one program. */
#define PUBLISHED_ROOM 65536u

/* What different parties write lies in different cache lines. */
struct published {
    char magic[8];
    uint32_t room; /* bytes behind this struct */
    uint32_t reserved1;
    uint64_t generation __attribute__((aligned(64))); /* publisher: 0: nothing yet; odd: at work */
    uint32_t size;                                    /* publisher: bytes of the policy */
    uint32_t reserved2;
    uint64_t adopted __attribute__((aligned(64))); /* program: the generation in force */
    uint64_t refused;                              /* program: the last one that it did not take */
    uint32_t reason;                               /* program: enum published_answer, why */
    uint32_t reserved3;
    uint8_t policy[] __attribute__((aligned(64)));
};
_Static_assert(sizeof(struct published) == 192, "the same on every architecture");

#define PUBLISHED_SIZE(room) (sizeof(struct published) + (size_t)(room))

/* Make zeroed memory of PUBLISHED_SIZE(room) bytes an empty one. `generation` is that of the rules
 * in force, in older memory; 0 for the program's first one. What is published here gets another. */
void published_init(struct published *published, uint32_t room, uint64_t generation);

/* The publisher's side. False: the policy does not fit. `room` is what the publisher knows of the
 * memory, not what stands there. One publisher at a time. */
bool published_put(struct published *published, uint32_t room, const void *policy, uint32_t size);

/* The generation that there is, or 0 if there is none or the publisher is at work. What a hook
 * looks at: one load, no system call. */
static inline uint64_t published_generation(const struct published *published)
{
    uint64_t generation = __atomic_load_n(&published->generation, __ATOMIC_ACQUIRE);
    return (generation & 1) == 0 ? generation : 0;
}

enum published_answer {
    PUBLISHED_TAKEN,
    PUBLISHED_AGAIN,     /* the publisher was at work: look again later */
    PUBLISHED_TOO_LARGE, /* for the copy */
    PUBLISHED_MALFORMED, /* it is no policy of this version, or not whole */
    PUBLISHED_NO_SLOT,   /* all memory for rules is in use: it is tried again */
    PUBLISHED_CONFINED   /* the program has confined itself (seccomp) and keeps its rules */
};

/* Copy what is published to `copy` (aligned to 8), which has room for `room` bytes. `size` and
 * `generation` are set if it is taken. Async-signal-safe, makes no system call. */
enum published_answer published_copy(const struct published *published, void *copy, uint32_t room,
                                     uint32_t *size, uint64_t *generation);

#endif
