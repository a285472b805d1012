/* SPDX-License-Identifier: MIT */
#include "policy_index.h"

#include "bytes.h"
#include "policy.h"
#include "text.h"

_Static_assert(sizeof(struct policy_index_block) == 128, "the same for every word size");

uint64_t policy_index_hash(const char *name)
{
    return bytes_hash(BYTES_HASH_BEGIN, name, text_length(name));
}

uint64_t policy_index_checksum(const struct policy_index_block *block)
{
    const size_t from = offsetof(struct policy_index_block, used);
    return policy_checksum_bytes((const uint8_t *)block + from, sizeof *block - from);
}

enum policy_index_answer policy_index_find(const struct policy_index_block *block, uint64_t hash,
                                           struct policy_index_entry *entry)
{
    if (block->checksum != policy_index_checksum(block) || block->used > POLICY_INDEX_ENTRIES)
        return INDEX_DAMAGED;
    for (uint32_t i = 0; i < block->used; i++)
        if (block->entries[i].hash == hash) {
            *entry = block->entries[i];
            return INDEX_FOUND;
        }
    return block->used == POLICY_INDEX_ENTRIES ? INDEX_NEXT_BLOCK : INDEX_ABSENT;
}

/* `entry->size` is 0 if the name has no part. */
static bool look_up_program(const struct policy_index *index, const char *name,
                            struct policy_index_entry *entry)
{
    const uint64_t hash = policy_index_hash(name);
    *entry = (struct policy_index_entry){.size = 0};
    for (uint32_t i = 0; i < index->blocks; i++) {
        struct policy_index_block room;
        const struct policy_index_block *block =
            index->get(index->context, (uint32_t)((hash + i) % index->blocks), &room);
        enum policy_index_answer answer =
            block != NULL ? policy_index_find(block, hash, entry) : INDEX_DAMAGED;
        if (answer != INDEX_NEXT_BLOCK)
            return answer != INDEX_DAMAGED;
    }
    return true;
}

bool policy_index_choose(const struct policy_index *index, const char *const names[2],
                         struct policy_index_entry *part)
{
    const uint64_t end = (uint64_t)index->whole.offset + index->whole.size;
    struct policy_index_entry other = {.size = 0};
    if (!look_up_program(index, names[0], part) ||
        (!text_equal(names[0], names[1]) && !look_up_program(index, names[1], &other)))
        return false;
    if (part->size == 0)
        *part = other;
    else if (other.size != 0 && other.offset != part->offset)
        *part = index->whole;
    return (uint64_t)part->offset + part->size <= end;
}
