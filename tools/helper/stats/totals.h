/* SPDX-License-Identifier: MIT */
/*
 * A snapshot of the sums by program, rule, role and port, for one who looks at them: those of
 * several users added up, or one user's. Answers are written from it bit by bit while the helper
 * goes on.
 */
#ifndef SOCKTUNE_HELPER_TOTALS_H
#define SOCKTUNE_HELPER_TOTALS_H

#include "connections.h"

struct totals {
    struct group *groups; /* texts and `refused` are the snapshot's own */
    size_t count;
};

/* Take what this viewer may see: all users' sums, or (`one_user`) those of `uid`. Free with
 * totals_free(). Returns -1 without memory, with nothing to free. */
int totals_take(struct totals *totals, const struct connections *connections, bool one_user,
                uid_t uid);

void totals_free(struct totals *totals);

#endif
