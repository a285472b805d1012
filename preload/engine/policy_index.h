/* SPDX-License-Identifier: MIT */
/*
 * The index of a policy file (policy.h): from a program's name to the part that holds its rules. A
 * hash table in blocks with a checksum each, so that a program reads and checks one block of it. A
 * name's block is its hash modulo the number of blocks; where that is full, the next one.
 *
 * A rule is for a program of a certain name alone if it has `program` patterns, and each of them
 * (but those with `!`) ends with a name without wildcards: "nginx", or "/usr/sbin/nginx". All other
 * rules are in the front and in each part.
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
    uint32_t used;     /* entries; if it is full, others may be in the next block */
    uint32_t reserved; /* 0 */
    struct policy_index_entry entries[POLICY_INDEX_ENTRIES];
};

/* The hash of a program's name, without its directory. Pure. */
uint64_t policy_index_hash(const char *name);

/* Of a block: */
uint64_t policy_index_checksum(const struct policy_index_block *block);

enum policy_index_answer { INDEX_ABSENT, INDEX_FOUND, INDEX_NEXT_BLOCK, INDEX_DAMAGED };

/* Look for a hash in a block. INDEX_FOUND: `entry` is filled. Pure. */
enum policy_index_answer policy_index_find(const struct policy_index_block *block, uint64_t hash,
                                           struct policy_index_entry *entry);

/* Gets block `number` of an index: in memory, or read into `room`. NULL: it cannot be read. */
typedef const struct policy_index_block *policy_index_get(void *context, uint32_t number,
                                                          struct policy_index_block *room);

struct policy_index {
    policy_index_get *get;
    void *context;
    uint32_t blocks;
    struct policy_index_entry whole; /* where all rules are; its hash is not read */
};

/*
 * The part for a program that is known by two names, which may be the same: that of its file, and
 * that of argv[0], both without directories. If both have a part, all rules are needed. part->size
 * is 0 where no name has one: the front has all rules for the program. False if the index is
 * damaged, or cannot be read. Async-signal-safe where `get` is.
 */
bool policy_index_choose(const struct policy_index *index, const char *const names[2],
                         struct policy_index_entry *part);

#endif
