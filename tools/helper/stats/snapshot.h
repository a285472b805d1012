/* SPDX-License-Identifier: MIT */
/*
 * A snapshot of the sums by program, rule, role and port: those of all users, or of one user. The
 * helper writes its answers from the snapshot in pieces, while the sums go on changing.
 */
#ifndef SOCKTUNE_HELPER_SNAPSHOT_H
#define SOCKTUNE_HELPER_SNAPSHOT_H

#include "aggregates.h"

struct snapshot {
    struct aggregate *aggregates; /* texts are escaped, see utf8_escaped() */
    size_t count;
};

/* Take what this viewer may see: all users' sums, or (`one_user`) those of `uid`. Free with
 * snapshot_free(). Returns -1 without memory, with nothing to free. */
int snapshot_take(struct snapshot *snapshot, const struct aggregates *aggregates, bool one_user,
                  uid_t uid);

void snapshot_free(struct snapshot *snapshot);

#endif
