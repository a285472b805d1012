/* SPDX-License-Identifier: MIT */
/*
 * Classes of peers, as named in the configuration. Sums are kept per class, never per address, so
 * their number is bounded.
 */
#ifndef SOCKTUNE_HELPER_PEER_CLASSES_H
#define SOCKTUNE_HELPER_PEER_CLASSES_H

#include "prefix.h"

#include <stdbool.h>
#include <stddef.h>

#define PEER_CLASSES_MAX  16u
#define PEER_PREFIXES_MAX 256u /* per class */
#define PEER_NAME_MAX     64u
/* The class of all addresses outside the other classes. */
#define PEER_OTHER "other"

struct peer_class {
    char *name;
    struct policy_prefix *prefixes;
    size_t count;
};

/* Initially {0}: no classes. */
struct peer_classes {
    struct peer_class classes[PEER_CLASSES_MAX];
    size_t count;
};

/* Add a class. Returns NULL, or what is wrong (static). The name is copied. */
const char *peer_classes_add(struct peer_classes *peers, const char *name);

/* Add a prefix to the class that was added last. Returns NULL, or what is wrong, in `problem` or
 * static. */
const char *peer_classes_add_prefix(struct peer_classes *peers, const char *word,
                                    char problem[PREFIX_PROBLEM_SIZE]);

/* Returns the first class that contains the address (16 bytes, IPv4 as v4-mapped), PEER_OTHER if
 * none does, or "" if there are no classes. Lives as long as `peers`. */
const char *peer_classes_find(const struct peer_classes *peers, const uint8_t address[16]);

void peer_classes_free(struct peer_classes *peers);

#endif
