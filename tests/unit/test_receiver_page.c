/* SPDX-License-Identifier: MIT */
#include "receiver_page.h"

#include <criterion/criterion.h>
#include <unistd.h>

#define NOBODY INT32_MAX /* no process has this number */

Test(receiver_page, strikes_of_a_user_count_for_a_minute)
{
    struct receiver_page page = {0};
    receiver_page_strike(&page, 1000, NOBODY, 1);
    receiver_page_strike(&page, 1000, NOBODY, 2);
    receiver_page_strike(&page, 2000, NOBODY, 2);
    cr_assert_eq(receiver_page_strikes(&page, 1000, STRIKE_AGE_NS), 2);
    cr_assert_eq(receiver_page_strikes(&page, 1000, STRIKE_AGE_NS + 1), 1);
    cr_assert_eq(receiver_page_strikes(&page, 1000, STRIKE_AGE_NS + 2), 0);
    cr_assert_eq(receiver_page_strikes(&page, 3000, 3), 0);
}

Test(receiver_page, and_as_long_as_the_receiver_hangs)
{
    struct receiver_page page = {0};
    receiver_page_strike(&page, 1000, getpid(), 1);
    cr_assert_eq(receiver_page_strikes(&page, 1000, 100 * STRIKE_AGE_NS), 1);
}
