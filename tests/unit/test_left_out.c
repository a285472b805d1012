/* SPDX-License-Identifier: MIT */
/* Options that no rule can name: none has a row in the option table, none is listed twice. */
#include "known_name.h"
#include "left_out.h"
#include "option.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>

static const struct left_out rows[] = {
#define LEFT_OUT(name, level, number, why) {name, level, number, why},
#include "left_out.def"
};

Test(left_out, every_row_is_reached)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct left_out *by_name = left_out_find(rows[i].name);
        const struct left_out *by_number = left_out_find_number(rows[i].level, rows[i].optname);
        cr_expect_null(option_find(rows[i].name), "%s is an option", rows[i].name);
        cr_expect_null(option_find_number(rows[i].level, rows[i].optname), "%s is an option",
                       rows[i].name);
        cr_assert_not_null(by_name, "%s", rows[i].name);
        cr_expect_eq(by_name, by_number, "%s stands twice", rows[i].name);
        cr_expect_null(known_name_find(rows[i].name, strlen(rows[i].name), false), "%s",
                       rows[i].name);
    }
}

Test(left_out, others_are_not_in_it)
{
    cr_expect_str_eq(left_out_find("udp_cork")->why, left_out_find_number(IPPROTO_UDP, 1)->why);
    cr_expect_null(left_out_find("TCP_CORK"));
    cr_expect_null(left_out_find_number(IPPROTO_TCP, 3));
}
