/* SPDX-License-Identifier: MIT */
#include "log_limit.h"

static struct log_user *find_user(struct log_limit *limit, uid_t uid)
{
    for (unsigned i = 0; i < limit->user_count; i++)
        if (limit->users[i].uid == uid)
            return &limit->users[i];
    if (limit->user_count == LOG_USERS_MAX)
        return &limit->users[LOG_USERS_MAX];
    limit->users[limit->user_count] = (struct log_user){.uid = uid};
    return &limit->users[limit->user_count++];
}

bool log_limit_take(struct log_limit *limit, uid_t uid, uint64_t now)
{
    if (limit->window == 0)
        limit->window = now;
    struct log_user *user = find_user(limit, uid);
    if (user->lines >= LOG_USER_LINES || limit->lines >= LOG_ALL_LINES) {
        limit->omitted++;
        return false;
    }
    user->lines++;
    limit->lines++;
    return true;
}

uint64_t log_limit_tick(struct log_limit *limit, uint64_t now)
{
    if (limit->window == 0 || now - limit->window < LOG_WINDOW_NS)
        return 0;
    uint64_t omitted = limit->omitted;
    *limit = (struct log_limit){0};
    return omitted;
}
