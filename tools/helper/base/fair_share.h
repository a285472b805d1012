/* SPDX-License-Identifier: MIT */
/*
 * Fair shares of a limited resource, such as memory, among users.
 *
 * A user may take more while the user's own part is smaller than the free rest. So a single user
 * gets half, two users get a third each, and later users always find some left. Network switches
 * share their buffers by this dynamic threshold (Choudhury and Hahne, 1998). Root may take
 * everything that is free.
 */
#ifndef SOCKTUNE_HELPER_FAIR_SHARE_H
#define SOCKTUNE_HELPER_FAIR_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* `used` is initially 0. */
struct fair_share {
    size_t limit; /* of all users together; 0: unlimited */
    size_t used;
};

/* True if the user, who holds `own` units, may take more. Pure. */
bool fair_share_allows(const struct fair_share *share, uid_t uid, size_t own);

/* Change the size of one item from `from` to `to`, in `*own` and in the total. */
void fair_share_change(struct fair_share *share, size_t *own, size_t from, size_t to);

#endif
