/* SPDX-License-Identifier: MIT */
#include "policy_part.h"
#include "policy.h"
#include "policy_index.h"

#include <string.h>

static bool look_up(const void *file, size_t size, const char *name,
                    struct policy_index_entry *entry)
{
    const struct policy_header *header = file;
    const struct policy_index_block *blocks =
        (const void *)((const uint8_t *)file + header->index.offset);
    const uint64_t hash = policy_index_hash(name);
    *entry = (struct policy_index_entry){.size = 0};
    for (uint32_t i = 0; i < header->index.count; i++) {
        enum policy_index_answer answer =
            policy_index_find(&blocks[(hash + i) % header->index.count], hash, entry);
        if (answer == INDEX_DAMAGED)
            return false;
        if (answer != INDEX_NEXT_BLOCK)
            break;
    }
    return entry->size <= size && entry->offset <= size - entry->size;
}

static struct policy_part part_at(const void *file, size_t offset, size_t size)
{
    const struct policy_header *header = (const void *)((const uint8_t *)file + offset);
    return (struct policy_part){header, (uint32_t)size, header->checksum};
}

bool policy_part_find(const void *file, size_t size, const char *const names[2],
                      struct policy_part *part)
{
    const struct policy_header *header = file;
    struct policy_index_entry found[2];
    for (size_t i = 0; i < 2; i++)
        if (!look_up(file, size, names[i], &found[i]))
            return false;
    if (found[0].size == 0)
        found[0] = found[1];
    if (found[0].size == 0)
        *part = part_at(file, 0, header->size);
    else if (found[1].size != 0 && found[1].offset != found[0].offset)
        *part = part_at(file, header->whole, size - header->whole); /* all rules are needed */
    else
        *part = part_at(file, found[0].offset, found[0].size);
    return true;
}
