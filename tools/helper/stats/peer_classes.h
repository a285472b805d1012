/* SPDX-License-Identifier: MIT */
/*
 * Classes of peers, as the configuration names them: sums are kept by class, never by address, so
 * that their number is bounded.
 */
#ifndef SOCKTUNE_HELPER_PEERS_H
#define SOCKTUNE_HELPER_PEERS_H

#include "prefix.h"

#include <stdbool.h>
#include <stddef.h>

#define PEER_CLASSES_MAX  16u
#define PEER_PREFIXES_MAX 256u /* of one class */
#define PEER_NAME_MAX     64u
/* The class of all addresses that none holds. */
#define PEER_OTHER "other"

struct peer_class {
    char *name;
    struct policy_prefix *prefixes;
    size_t count;
};

/* Begins as {0}: no classes. */
struct peers {
    struct peer_class classes[PEER_CLASSES_MAX];
    size_t count;
};

/* Returns NULL, or what is wrong; static. The name is copied. */
const char *peers_add_class(struct peers *peers, const char *name);

/* To the class that was added last. Returns NULL, or what is wrong, in `problem` or static. */
const char *peers_add_prefix(struct peers *peers, const char *word,
                             char problem[PREFIX_PROBLEM_SIZE]);

/* The first class that holds the address (16 bytes, IPv4 as v4-mapped), PEER_OTHER if none does, or
 * "" where there are no classes. Lives as long as `peers`. */
const char *peers_class(const struct peers *peers, const uint8_t address[16]);

void peers_free(struct peers *peers);

#endif
