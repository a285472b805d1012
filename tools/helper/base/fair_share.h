/* SPDX-License-Identifier: MIT */
/*
 * What users take of something of which there is only so much, such as memory.
 *
 * A user may take more while they have less than what is still free. So one user alone gets half,
 * two get a third each, and something is always left for those who come later. This is the dynamic
 * threshold by which switches share their buffer (Choudhury and Hahne, 1998). Root may take all
 * that is free.
 */
#ifndef SOCKTUNE_HELPER_FAIR_SHARE_H
#define SOCKTUNE_HELPER_FAIR_SHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Begins with `used` 0. */
struct fair_share {
    size_t limit; /* of all users together; 0: there is none */
    size_t used;
};

/* May the user, who has `own` of it, take more? Pure. */
bool fair_share_allows(const struct fair_share *share, uid_t uid, size_t own);

/* Something that counted as `from` in `*own` counts as `to` from now on. */
void fair_share_change(struct fair_share *share, size_t *own, size_t from, size_t to);

#endif
