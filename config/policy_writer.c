/* SPDX-License-Identifier: MIT */
#include "policy_writer.h"

#include <stdlib.h>
#include <string.h>

/* The tables live in the arena of the writer at hand. */
#define uthash_malloc(size)    arena_alloc(&writer->arena, size)
#define uthash_free(ptr, size) ((void)(ptr))
#include <uthash.h>

/* Records of a section that were added together. */
struct policy_run {
    const void *bytes;
    uint32_t first;
    UT_hash_handle hh;
};

uint32_t policy_append(struct policy_writer *writer, enum policy_section_id id, const void *bytes,
                       size_t length)
{
    struct policy_records *section = &writer->sections[id];
    size_t first = section->length / policy_record_size[id];
    if (length == 0)
        return (uint32_t)first;
    if (section->length + length > section->room) {
        size_t room = 2 * (section->length + length) + 64;
        unsigned char *grown = arena_alloc(&writer->arena, room);
        if (section->length != 0)
            memcpy(grown, section->bytes, section->length);
        section->bytes = grown;
        section->room = room;
    }
    memcpy(section->bytes + section->length, bytes, length);
    section->length += length;
    return (uint32_t)first;
}

uint32_t policy_intern(struct policy_writer *writer, enum policy_section_id id, const void *bytes,
                       size_t length)
{
    struct policy_records *section = &writer->sections[id];
    struct policy_run *run;
    HASH_FIND(hh, section->runs, bytes, length, run);
    if (run == NULL) {
        run = arena_alloc(&writer->arena, sizeof *run);
        run->bytes = arena_copy(&writer->arena, bytes, length);
        run->first = policy_append(writer, id, bytes, length);
        HASH_ADD_KEYPTR(hh, section->runs, run->bytes, length, run);
    }
    return run->first;
}

uint32_t policy_write_string(struct policy_writer *writer, const char *text)
{
    return policy_intern(writer, SECTION_DATA, text, strlen(text) + 1);
}

struct policy_range policy_write_range(struct policy_writer *writer, enum policy_section_id id,
                                       const void *records, size_t count)
{
    if (count == 0)
        return (struct policy_range){0, 0};
    return (struct policy_range){policy_intern(writer, id, records, count * policy_record_size[id]),
                                 (uint32_t)count};
}

uint32_t policy_written(const struct policy_writer *writer, enum policy_section_id id)
{
    return (uint32_t)(writer->sections[id].length / policy_record_size[id]);
}

static size_t aligned_size(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

void *policy_assemble(struct policy_writer *writer, size_t *size)
{
    struct policy_header header = {.version = POLICY_VERSION,
                                   .failure = writer->failure,
                                   .rule_total = writer->rule_total,
                                   .flags = writer->flags};
    unsigned char *blob;
    /* So that each offset is that of a terminated string. */
    policy_append(writer, SECTION_DATA, "", 1);
    memcpy(header.magic, POLICY_MAGIC, sizeof header.magic);
    *size = aligned_size(sizeof header);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        header.sections[i].offset = (uint32_t)*size;
        header.sections[i].count = policy_written(writer, (enum policy_section_id)i);
        *size += aligned_size(writer->sections[i].length);
    }
    if (*size > POLICY_SIZE_MAX)
        return NULL;
    header.size = (uint32_t)*size;
    blob = calloc(1, *size);
    if (blob == NULL)
        longjmp(writer->arena.out_of_memory, 1);
    memcpy(blob, &header, sizeof header);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (writer->sections[i].length != 0)
            memcpy(blob + header.sections[i].offset, writer->sections[i].bytes,
                   writer->sections[i].length);
    header.checksum = policy_checksum(blob, *size);
    memcpy(blob, &header, sizeof header);
    return blob;
}
