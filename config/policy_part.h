/* SPDX-License-Identifier: MIT */
/*
 * What one program needs of a policy file: the blob that the preloaded library would read of it
 * (preload/policy_reader.c).
 */
#ifndef SOCKTUNE_POLICY_PART_H
#define SOCKTUNE_POLICY_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_part {
    const void *blob; /* within the file */
    uint32_t size;    /* bytes */
    uint64_t checksum;
};

/*
 * Find the part for a program that is known by two names, which may be the same: that of its file,
 * and that of argv[0], both without directories. `file` is a policy file that policy_open() has
 * accepted, aligned to 8. Returns false if its index is damaged. Pure.
 */
bool policy_part_find(const void *file, size_t size, const char *const names[2],
                      struct policy_part *part);

#endif
