/* SPDX-License-Identifier: MIT */
/*
 * Which arm of a trial a connection gets.
 */
#include "trial.h"
#include "trial_text.h"

#include <criterion/criterion.h>

Test(trial, each_block_has_each_arm_once)
{
    for (unsigned arms = 1; arms <= POLICY_TRIAL_ARMS_MAX; arms++)
        for (uint64_t block = 0; block < 50; block++) {
            unsigned seen = 0;
            for (unsigned i = 0; i < arms; i++)
                seen |= 1u << trial_arm_of_interval(7, arms, block * arms + i);
            cr_assert_eq(seen, (1u << arms) - 1);
        }
}

Test(trial, the_order_of_a_block_is_even)
{
    unsigned first = 0;
    for (uint64_t block = 0; block < 10000; block++)
        first += trial_arm_of_interval(3, 2, block * 2);
    cr_assert(first > 4800 && first < 5200, "%u", first);
}

static struct sockinfo connection_of(uint64_t cookie)
{
    return (struct sockinfo){.cookie = cookie, .known = FACT_MOMENT | FACT_COOKIE};
}

Test(trial, connections_fall_into_arms_by_their_shares)
{
    const struct policy_trial arms[] = {
        {.seed = 1, .arm = 0, .arms = 2, .low = 0, .high = 6554},
        {.seed = 1, .arm = 1, .arms = 2, .low = 6554, .high = 65536}};
    unsigned counts[2] = {0};
    for (uint64_t cookie = 1; cookie <= 10000; cookie++) {
        struct sockinfo connection = connection_of(cookie);
        bool first = trial_is_in(&arms[0], &connection);
        cr_assert_neq(first, trial_is_in(&arms[1], &connection), "in one arm and no other");
        counts[!first]++;
    }
    cr_assert(counts[0] > 900 && counts[0] < 1100, "%u", counts[0]);
}

Test(trial, when_it_is_over_all_are_in_the_control_arm)
{
    struct policy_trial arm = {.number = 3, .arms = 2, .low = 0, .high = 65536};
    struct sockinfo connection = connection_of(5);
    connection.moment.ended = 1u << 3;
    cr_assert(trial_is_in(&arm, &connection));
    arm.arm = 1;
    cr_assert_not(trial_is_in(&arm, &connection));
    connection.moment.ended = 1u << 2;
    cr_assert(trial_is_in(&arm, &connection), "another trial's end");
}

Test(trial, only_a_connection_that_is_watched_takes_part)
{
    const struct policy_trial single = {.arms = 2, .high = 65536},
                              turns = {.arms = 2, .unit_ns = 1};
    struct sockinfo connection = {.known = 0};
    cr_assert_eq(trial_missing(&single, &connection), FACT_MOMENT);
    connection.known = FACT_MOMENT;
    cr_assert_eq(trial_missing(&single, &connection), FACT_COOKIE);
    cr_assert_eq(trial_missing(&turns, &connection), 0, "the cookie decides nothing");
}

Test(trial, the_text_for_the_helper_is_read_as_it_was_written)
{
    const struct trial_text trial = {.id = UINT64_MAX,
                                     .seed = 7,
                                     .unit_ns = 600000000000,
                                     .most = 50000,
                                     .low = 32768,
                                     .high = 65536,
                                     .name_length = 9,
                                     .number = 63,
                                     .arm = 1,
                                     .arms = 2,
                                     .metric = TRIAL_rtt,
                                     .guards = {-20, 0, 50, 0, 0}};
    static const char *const bad[] = {"",
                                      "-",
                                      "1 2 3",
                                      "1 1 1 9 0 1 1 0 0 2 0 0 0 0 0 0",
                                      "1 1 0 9 0 1 1 64 0 2 0 0 0 0 0 0",
                                      "1 1 0 9 0 1 1 0 2 2 0 0 0 0 0 0",
                                      "1 1 0 9 0 1 1 0 0 9 0 0 0 0 0 0",
                                      "1 1 0 9 0 1 1 0 0 2 0 0 0 0 0 0 more"};
    char text[TRIAL_TEXT_SIZE];
    struct trial_text read;
    trial_text_write(&trial, text);
    cr_assert(trial_text_read(text, &read), "%s", text);
    cr_assert_arr_eq(&read, &trial, sizeof read);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(trial_text_read(bad[i], &read), "%s", bad[i]);
    cr_assert(trial_text_read("1 1 0 9 0 1 1 0 0 2 0 0 0 0 0 0", &read), "what they begin with");
}
