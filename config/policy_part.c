/* SPDX-License-Identifier: MIT */
#include "policy_part.h"
#include "policy.h"
#include "policy_index.h"

static const struct policy_index_block *get_block(void *context, uint32_t number,
                                                  struct policy_index_block *room)
{
    const struct policy_header *header = context;
    (void)room;
    return (const struct policy_index_block *)(const void *)((const uint8_t *)context +
                                                             header->index.offset) +
           number;
}

bool policy_part_find(const void *file, size_t size, const char *const names[2],
                      struct policy_part *part)
{
    const struct policy_header *header = file;
    const struct policy_index index = {
        get_block,
        (void *)file,
        header->index.count,
        {.offset = header->whole, .size = (uint32_t)size - header->whole}};
    struct policy_index_entry found;
    if (!policy_index_choose(&index, names, &found))
        return false;
    if (found.size == 0)
        found = (struct policy_index_entry){.offset = 0, .size = header->size};
    header = (const void *)((const uint8_t *)file + found.offset);
    *part = (struct policy_part){header, found.size, header->checksum};
    return true;
}
