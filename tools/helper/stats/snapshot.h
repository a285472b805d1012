/* SPDX-License-Identifier: MIT */
/*
 * A snapshot of the sums by program, rule, role and port: those of all users, or of one user. The
 * helper writes answers from it in pieces, while the sums continue to change.
 */
#ifndef SOCKTUNE_HELPER_SNAPSHOT_H
#define SOCKTUNE_HELPER_SNAPSHOT_H

#include "aggregates.h"

struct snapshot {
    struct aggregate *aggregates; /* texts are escaped, see utf8_escaped() */
    size_t count;
};

/* Take what the viewer may see: all users' sums, or (`one_user`) those of `uid`. Free with
 * snapshot_free(). Returns -1 if there is no memory, with nothing to free. */
int snapshot_take(struct snapshot *snapshot, const struct aggregates *aggregates, bool one_user,
                  uid_t uid);

void snapshot_free(struct snapshot *snapshot);

#endif
