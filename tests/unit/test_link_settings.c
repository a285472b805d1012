/* SPDX-License-Identifier: MIT */
/*
 * Orders to a link as text: their effect, and which are refused.
 */
#include "link/settings.h"

#include <criterion/criterion.h>
#include <string.h>

Test(link_settings, an_order_is_taken_apart)
{
    struct link_order order;
    cr_assert_null(link_parse_order("wifi both delay_us=5", &order));
    cr_expect_str_eq(order.path, "wifi");
    cr_expect_eq(order.bounds, LINK_OUT | LINK_BACK);
    cr_expect_str_eq(order.list, "delay_us=5");
    cr_assert_null(link_parse_order("  p0\tout\n", &order));
    cr_expect_eq(order.bounds, LINK_OUT);
    cr_expect_str_eq(order.list, "");
    cr_assert_null(link_parse_order("p0 back up=0\n", &order));
    cr_expect_eq(order.bounds, LINK_BACK);
}

Test(link_settings, what_is_no_order_is_refused)
{
    static const char *const lines[] = {"",
                                        "\n",
                                        "p0",
                                        "p0 \n",
                                        "p0 delay_us=5",
                                        "p0 bot up=1",
                                        "p0 bothup=1",
                                        "a-name-of-16-byte both"};
    struct link_order order;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect_not_null(link_parse_order(lines[i], &order), "\"%s\"", lines[i]);
}

Test(link_settings, all_settings_are_set)
{
    struct link_settings settings = link_default_settings;
    const struct link_settings expected = {1, 2, 3, 4, 5, 6, 7, 0};
    cr_assert_null(link_apply(&settings, "delay_us=1,jitter_us=2,rate_bps=3,queue_bytes=4,"
                                         "loss_ppm=5,reorder_ppm=6,reorder_us=7,up=0\n"));
    cr_expect(memcmp(&settings, &expected, sizeof settings) == 0);
}

Test(link_settings, what_is_not_named_stays)
{
    struct link_settings settings = link_default_settings;
    cr_assert_null(link_apply(&settings, ""));
    cr_expect(memcmp(&settings, &link_default_settings, sizeof settings) == 0);
    cr_assert_null(link_apply(&settings, "loss_ppm=9"));
    cr_expect_eq(settings.loss_ppm, 9);
    cr_expect_eq(settings.queue_bytes, link_default_settings.queue_bytes);
}

Test(link_settings, what_is_wrong_changes_nothing)
{
    static const char *const lists[] = {"delay_us=1,x=1",
                                        "delay_us",
                                        "delay_us=",
                                        "delay_us=-1",
                                        "delay_us= 1",
                                        "delay_us=1s",
                                        "delay_u=1",
                                        "delay_us=1;up=0",
                                        "loss_ppm=1000001",
                                        "up=2",
                                        "delay_us=99999999999999999999"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct link_settings settings = link_default_settings;
        cr_expect_not_null(link_apply(&settings, lists[i]), "%s", lists[i]);
        cr_expect(memcmp(&settings, &link_default_settings, sizeof settings) == 0, "%s", lists[i]);
    }
}
