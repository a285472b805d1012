/* SPDX-License-Identifier: MIT */
/*
 * The number of aggregates of each user, what happens beyond the limits, and when they expire.
 */
#include "aggregates.h"
#include "clock.h"
#include "policy.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define ROOT  0
#define ALICE 1000
#define BOB   2000
#define DAY   (86400 * SECOND)

/* The aggregate of the n-th program of a user. */
static struct aggregate *get_nth(struct aggregates *all, uid_t uid, unsigned n)
{
    char program[32];
    snprintf(program, sizeof program, "program-%u", n);
    return aggregates_get(all,
                          &(struct aggregate_key){.program = program,
                                                  .rule = "out",
                                                  .role = ROLE_CONNECT,
                                                  .port = 443,
                                                  .peer = "",
                                                  .uid = uid},
                          SECOND);
}

/* Do all of the user's `count` programs have aggregates of their own? */
static bool has_own(struct aggregates *all, uid_t uid, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        if (get_nth(all, uid, n)->other)
            return false;
    return true;
}

Test(aggregates, one_user_has_a_bound_and_an_other)
{
    struct aggregates all = {0};
    struct aggregate *other;
    cr_expect(has_own(&all, ALICE, AGGREGATES_USER_MAX));
    other = get_nth(&all, ALICE, AGGREGATES_USER_MAX);
    cr_assert(other->other);
    cr_expect_eq(other->uid, ALICE);
    cr_expect_str_eq(other->program, "other");
    cr_expect_eq(get_nth(&all, ALICE, AGGREGATES_USER_MAX + 1), other);
    cr_expect_eq(aggregates_count(&all), AGGREGATES_USER_MAX + 1);
    aggregates_free(&all);
}

Test(aggregates, many_users_cost_neither_root_nor_another)
{
    struct aggregates all = {0};
    for (uid_t uid = ALICE; uid < ALICE + 20; uid++)
        for (unsigned n = 0; n < 2 * AGGREGATES_USER_MAX; n++)
            (void)get_nth(&all, uid, n);
    cr_expect(has_own(&all, BOB, AGGREGATES_USER_LEAST), "there is room for one more user");
    cr_expect(get_nth(&all, BOB, AGGREGATES_USER_LEAST)->uid == BOB);
    cr_expect(has_own(&all, ROOT, AGGREGATES_ROOT_MAX));
    cr_expect(get_nth(&all, ROOT, AGGREGATES_ROOT_MAX)->other);
    aggregates_free(&all);
}

Test(aggregates, ten_thousand_users_have_a_bound)
{
    struct aggregates all = {0};
    for (uid_t uid = 1; uid <= 10000; uid++)
        cr_assert_not_null(get_nth(&all, uid, 0));
    cr_expect_leq(aggregates_count(&all), AGGREGATES_ROOT_MAX + AGGREGATES_OTHERS_MAX + 1);
    cr_expect(has_own(&all, ROOT, AGGREGATES_ROOT_MAX));
    aggregates_free(&all);
}

Test(aggregates, those_without_connections_expire)
{
    struct aggregates all = {0};
    struct aggregate *idle = get_nth(&all, ALICE, 0), *busy = get_nth(&all, ALICE, 1);
    aggregate_opened(busy);
    aggregate_opened(idle);
    aggregate_closed(idle, CLOSE_FIN, SECOND, &(struct tcp_info_bytes){.length = 0});
    aggregates_expire(&all, DAY, DAY);
    cr_expect_eq(aggregates_count(&all), 2);
    aggregates_expire(&all, 2 * DAY, DAY);
    cr_assert_eq(aggregates_count(&all), 1);
    cr_expect_str_eq(aggregates_at(&all, 0)->program, "program-1");
    /* Its last connection was open until a moment before this close. */
    aggregate_closed(busy, CLOSE_FIN, SECOND, &(struct tcp_info_bytes){.length = 0});
    aggregates_expire(&all, 2 * DAY + SECOND, DAY);
    cr_expect_eq(aggregates_count(&all), 1);
    aggregates_expire(&all, 3 * DAY + SECOND, DAY);
    cr_expect_eq(aggregates_count(&all), 0);
    cr_expect_eq(all.memory, 0);
    aggregates_free(&all);
}

Test(aggregates, an_expired_program_makes_room)
{
    struct aggregates all = {0};
    (void)has_own(&all, ALICE, 2 * AGGREGATES_USER_MAX);
    cr_assert(get_nth(&all, ALICE, 999)->other);
    aggregates_expire(&all, 2 * DAY, DAY);
    cr_expect(!get_nth(&all, ALICE, 999)->other);
    aggregates_free(&all);
}
