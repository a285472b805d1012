/* SPDX-License-Identifier: MIT */
/*
 * A sequence lock whose reader trusts neither the writer nor the sequence number. It bounds the
 * copy by its own memory. policy_open() refuses a policy that is torn although the generation did
 * not change, like any other invalid policy.
 */
#include "published.h"

void published_init(struct published *published, uint32_t room, uint64_t generation)
{
    __atomic_store_n(&published->adopted, generation, __ATOMIC_RELAXED);
    __atomic_store_n(&published->generation, generation, __ATOMIC_RELEASE);
    __builtin_memcpy(published->magic, PUBLISHED_MAGIC, sizeof published->magic);
    published->room = room;
}

bool published_put(struct published *published, uint32_t room, const void *policy, uint32_t size)
{
    const uint8_t *from = policy;
    uint64_t generation = __atomic_load_n(&published->generation, __ATOMIC_RELAXED);
    if (size > room)
        return false;
    generation |= 1; /* odd also if a former publisher was killed while it wrote */
    __atomic_store_n(&published->generation, generation, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&published->size, size, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < size; i++)
        __atomic_store_n(&published->policy[i], from[i], __ATOMIC_RELAXED);
    __atomic_store_n(&published->generation, generation + 1, __ATOMIC_RELEASE);
    return true;
}

enum published_answer published_copy(const struct published *published, void *copy, uint32_t room,
                                     uint32_t *size, uint64_t *generation)
{
    const uint64_t before = published_generation(published);
    const uint32_t length = __atomic_load_n(&published->size, __ATOMIC_RELAXED);
    const uint64_t *from = (const uint64_t *)(const void *)published->policy;
    uint64_t *to = copy;
    if (before == 0)
        return PUBLISHED_AGAIN;
    if (length > room || length % sizeof *to != 0)
        return PUBLISHED_TOO_LARGE;
    for (uint32_t i = 0; i < length / sizeof *to; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&published->generation, __ATOMIC_RELAXED) != before)
        return PUBLISHED_AGAIN;
    *size = length;
    *generation = before;
    return PUBLISHED_TAKEN;
}
