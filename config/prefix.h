/* SPDX-License-Identifier: MIT */
/*
 * Addresses and prefixes as people write them. Pure.
 */
#ifndef SOCKTUNE_PREFIX_H
#define SOCKTUNE_PREFIX_H

#include "policy.h"

#include <stdbool.h>
#include <stddef.h>

#define PREFIX_PROBLEM_SIZE 512

/* Read "10.1.2.3", "10.0.0.0/8", "fd00::1" or "fd00::/8". Returns false with what is wrong, and
 * what would be right, in `problem`: a phrase that begins with the word. */
bool prefix_read(const char *word, struct policy_prefix *prefix, char problem[PREFIX_PROBLEM_SIZE]);

/* A range of IPv6 addresses takes at most two prefixes of each length. */
#define PREFIX_RANGE_MAX 256

/* The same, or a range "10.1.0.5-10.1.0.20" as the fewest prefixes that make it up. Returns how
 * many; 0 with the problem. */
size_t prefix_read_range(const char *word, struct policy_prefix prefixes[PREFIX_RANGE_MAX],
                         char problem[PREFIX_PROBLEM_SIZE]);

/* Does it hold the address? 16 bytes, IPv4 as v4-mapped; an IPv6 prefix never holds IPv4. */
bool prefix_holds(const struct policy_prefix *prefix, const uint8_t address[16]);

#endif
