/* SPDX-License-Identifier: MIT */
#include "fair_share.h"

bool fair_share_allows(const struct fair_share *share, uid_t uid, size_t own)
{
    size_t left = share->limit > share->used ? share->limit - share->used : 0;
    return share->limit == 0 || (uid == 0 ? left > 0 : own < left);
}

void fair_share_change(struct fair_share *share, size_t *own, size_t from, size_t to)
{
    share->used += to - from;
    *own += to - from;
}
