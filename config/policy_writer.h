/* SPDX-License-Identifier: MIT */
/*
 * Laying out a blob of a policy: each section is gathered in an arena, then all are put one behind
 * the other. What occurs twice is kept once.
 *
 * All functions jump to arena.out_of_memory when memory ends. Begin with a zeroed writer, and end
 * with arena_free().
 */
#ifndef SOCKTUNE_POLICY_WRITER_H
#define SOCKTUNE_POLICY_WRITER_H

#include "arena.h"
#include "policy.h"

/* The records of one section, and which of them were interned. */
struct policy_records {
    unsigned char *bytes;
    size_t length;
    size_t room;
    struct policy_run *runs;
};

struct policy_writer {
    struct arena arena;
    struct policy_records sections[SECTION_COUNT];
    uint32_t failure;    /* of the header */
    uint32_t rule_total; /* of the header */
    uint32_t flags;      /* of the header */
};

/* Append records of `length` bytes in all; returns the index of the first. */
uint32_t policy_append(struct policy_writer *writer, enum policy_section_id id, const void *bytes,
                       size_t length);

/* The same, unless these very records have been interned already. */
uint32_t policy_intern(struct policy_writer *writer, enum policy_section_id id, const void *bytes,
                       size_t length);

/* Intern a string; the first one is to be "". */
uint32_t policy_write_string(struct policy_writer *writer, const char *text);

/* Intern `count` records. */
struct policy_range policy_write_range(struct policy_writer *writer, enum policy_section_id id,
                                       const void *records, size_t count);

/* How many records a section has. */
uint32_t policy_written(const struct policy_writer *writer, enum policy_section_id id);

/* The blob, malloc()ed, and its bytes in `size`. NULL if it is too large; `size` says how large. */
void *policy_assemble(struct policy_writer *writer, size_t *size);

#endif
