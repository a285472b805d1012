/* SPDX-License-Identifier: MIT */
#include "log_limit.h"

#include <criterion/criterion.h>

#define START UINT64_C(1000)

static unsigned count_lines(struct log_limit *limit, uid_t uid, unsigned tries)
{
    unsigned written = 0;
    for (unsigned i = 0; i < tries; i++)
        written += log_limit_take(limit, uid, START);
    return written;
}

Test(log_limit, a_user_who_floods_leaves_room_for_others)
{
    struct log_limit limit = {0};
    cr_assert_eq(count_lines(&limit, 1, 1000), LOG_USER_LINES);
    cr_assert_eq(count_lines(&limit, 2, 3), 3);
    cr_assert_eq(limit.omitted, 1000 - LOG_USER_LINES);
}

Test(log_limit, many_users_together_have_a_limit_too)
{
    struct log_limit limit = {0};
    unsigned written = 0;
    for (uid_t uid = 0; uid < 10 * LOG_USERS_MAX; uid++)
        written += count_lines(&limit, uid, LOG_USER_LINES);
    cr_assert_eq(written, LOG_ALL_LINES);
}

Test(log_limit, the_next_window_begins_anew_and_tells_what_was_left_out)
{
    struct log_limit limit = {0};
    count_lines(&limit, 1, LOG_USER_LINES + 7);
    cr_assert_eq(log_limit_tick(&limit, START + LOG_WINDOW_NS - 1), 0);
    cr_assert_eq(log_limit_tick(&limit, START + LOG_WINDOW_NS), 7);
    cr_assert_eq(log_limit_tick(&limit, START + 3 * LOG_WINDOW_NS), 0);
    cr_assert(log_limit_take(&limit, 1, START + 3 * LOG_WINDOW_NS));
}
