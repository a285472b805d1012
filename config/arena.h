/* SPDX-License-Identifier: MIT */
/*
 * Memory that is freed all at once. The nodes of a ruleset live exactly as long as the ruleset, so
 * nobody has to own them singly; and when memory ends, one jump undoes a whole reading.
 */
#ifndef SOCKTUNE_ARENA_H
#define SOCKTUNE_ARENA_H

#include <setjmp.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks;
    jmp_buf out_of_memory; /* set by whoever allocates; taken by the allocating functions */
};

/* `size` zeroed bytes, aligned for anything. Jumps to out_of_memory rather than returning NULL. */
void *arena_alloc(struct arena *arena, size_t size);

/* A terminated copy of `length` bytes. */
char *arena_copy(struct arena *arena, const char *text, size_t length);

/* printf() into the arena. */
char *arena_print(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Room for one more item behind the `count` items of `size` bytes at `items`: returns `items`
 * itself, or a copy of twice the room. Always give the result back to the next call.
 */
void *arena_grow(struct arena *arena, void *items, size_t count, size_t size);

void arena_free(struct arena *arena);

#endif
