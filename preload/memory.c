/* SPDX-License-Identifier: MIT */
/*
 * A compiler may emit calls of these functions to copy, clear or compare objects, whatever its
 * flags (gcc seldom does, clang often). libc's own functions are not imported, since a program may
 * export functions with these names. The linker drops those that are not called.
 */
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

/* Keeps the compiler from replacing the loop by a call of the function that contains it. */
static inline void keep_loop(void)
{
    __asm__ volatile("" ::: "memory");
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    return memmove(to, from, size);
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *target = to;
    const uint8_t *source = from;
    if (target < source)
        for (size_t i = 0; i < size; i++, keep_loop())
            target[i] = source[i];
    else
        for (size_t i = size; i > 0; i--, keep_loop())
            target[i - 1] = source[i - 1];
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    uint8_t *target = to;
    for (size_t i = 0; i < size; i++, keep_loop())
        target[i] = (uint8_t)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *left = a, *right = b;
    for (size_t i = 0; i < size; i++, keep_loop())
        if (left[i] != right[i])
            return left[i] - right[i];
    return 0;
}
