/* SPDX-License-Identifier: MIT */
/*
 * The index of a policy file (policy.h): maps a program's name to the part with its rules. It is a
 * hash table in blocks, each with its own checksum, so that a program reads and checks one block. A
 * name's block is its hash modulo the number of blocks; if that block is full, the next one.
 *
 * A rule is for one program name only if it has `program` patterns, and each of them (except those
 * with `!`) ends with a name without wildcards: "nginx", or "/usr/sbin/nginx". All other rules are
 * in the front and in each part.
 */
#ifndef SOCKTUNE_POLICY_INDEX_H
#define SOCKTUNE_POLICY_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#define POLICY_INDEX_ENTRIES 7

struct policy_index_entry {
    uint64_t hash;   /* policy_index_hash() of the name */
    uint32_t offset; /* of the part, from the start of the file */
    uint32_t size;   /* bytes */
};

struct policy_index_block {
    uint64_t checksum; /* policy_checksum_bytes() of what follows */
    uint32_t used;     /* entries; if the block is full, more may be in the next one */
    uint32_t reserved; /* 0 */
    struct policy_index_entry entries[POLICY_INDEX_ENTRIES];
};

/* The hash of a program's name without its directory. Pure. */
uint64_t policy_index_hash(const char *name);

/* The checksum of a block. Pure. */
uint64_t policy_index_checksum(const struct policy_index_block *block);

enum policy_index_answer { INDEX_ABSENT, INDEX_FOUND, INDEX_NEXT_BLOCK, INDEX_DAMAGED };

/* Search for a hash in a block. INDEX_FOUND: `entry` is filled. Pure. */
enum policy_index_answer policy_index_find(const struct policy_index_block *block, uint64_t hash,
                                           struct policy_index_entry *entry);

/* Returns block `number` of an index, which is in memory or is read into `room`. NULL: it cannot be
 * read. */
typedef const struct policy_index_block *policy_index_get(void *context, uint32_t number,
                                                          struct policy_index_block *room);

struct policy_index {
    policy_index_get *get;
    void *context;
    uint32_t blocks;
    struct policy_index_entry whole; /* location of all rules; its hash is unused */
};

/*
 * Find the part for a program that has two names, which may be equal: that of its file, and that of
 * argv[0], both without directories. If both have a part, all rules are needed. part->size is 0 if
 * no name has a part: then the front has all rules for the program. False if the index is damaged
 * or cannot be read. Async-signal-safe if `get` is.
 */
bool policy_index_choose(const struct policy_index *index, const char *const names[2],
                         struct policy_index_entry *part);

#endif
