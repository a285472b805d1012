/* SPDX-License-Identifier: MIT */
/*
 * From a blob of all rules to a policy file in which each program finds its own part (policy.h).
 */
#ifndef SOCKTUNE_POLICY_SPLIT_H
#define SOCKTUNE_POLICY_SPLIT_H

#include <stddef.h>

/* More than this is not written for the parts, which repeat the rules for programs of any name. */
#define POLICY_PARTS_MAX (32u << 20) /* bytes */

/*
 * Takes a malloc()ed blob of `size` bytes, made by policy_assemble(), and returns the file,
 * likewise malloc()ed, with its bytes in `size`. That is the blob itself where no rule names a
 * program, where the parts would be too large, or where memory ends: such a policy works as well,
 * but each start of a program reads all of it.
 */
void *policy_split(void *whole, size_t *size);

#endif
