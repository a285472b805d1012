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
