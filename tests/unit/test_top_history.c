/* SPDX-License-Identifier: MIT */
/*
 * The histories of `top`: one point per sample, rates from differences, bars from points.
 */
#include "top_history.h"

#include <criterion/criterion.h>
#include <math.h>

/* Note a connection as sampled at `sampled`. */
static void note(struct histories *all, const char *id, double sampled, double rtt, int sent)
{
    json_t *object = json_pack("{s:s, s:f, s:{s:f, s:i}}", "id", id, "sampled", sampled, "tcp_info",
                               "rtt", rtt, "bytes_sent", sent);
    struct reported one;
    cr_assert(object && reported_read(&one, object));
    history_note(all, &one, object);
    reported_free(&one);
    json_decref(object);
}

Test(top_history, a_point_for_each_new_sample)
{
    struct histories all = {0};
    const struct history *history;
    note(&all, "1-1", 100, 5, 0);
    note(&all, "1-1", 100, 5, 0);
    note(&all, "1-1", 110, 6, 5000);
    note(&all, "1-1", 112, 7, 5000);
    history = history_find(&all, "1-1");
    cr_assert(history);
    cr_assert_eq(history->count, 3);
    cr_expect_eq(history->points[SERIES_RTT][2], 7);
    cr_expect(isnan(history->points[SERIES_SENT][0]));
    cr_expect_eq(history->points[SERIES_SENT][1], 500);
    cr_expect_eq(history->points[SERIES_SENT][2], 0);
    cr_expect(isnan(history->points[SERIES_CWND][2]));
    histories_free(&all);
}

Test(top_history, the_oldest_points_go)
{
    struct histories all = {0};
    const struct history *history;
    for (int i = 0; i < HISTORY_POINTS + 5; i++)
        note(&all, "1-1", i, i, 0);
    history = history_find(&all, "1-1");
    cr_assert_eq(history->count, HISTORY_POINTS);
    cr_expect_eq(history->points[SERIES_RTT][0], 5);
    cr_expect_eq(history->points[SERIES_RTT][HISTORY_POINTS - 1], HISTORY_POINTS + 4);
    histories_free(&all);
}

Test(top_history, those_not_noted_are_swept)
{
    struct histories all = {0};
    note(&all, "1-1", 1, 1, 0);
    note(&all, "1-2", 1, 1, 0);
    note(&all, "1-3", 1, 1, 0);
    histories_sweep(&all, NULL);
    note(&all, "1-1", 2, 1, 0);
    histories_sweep(&all, "1-2");
    cr_expect(history_find(&all, "1-1"));
    cr_expect(history_find(&all, "1-2"), "it is kept");
    cr_expect_null(history_find(&all, "1-3"));
    histories_free(&all);
}

Test(top_history, bars)
{
    struct histories all = {0};
    const double rtts[] = {0, 25, 50, 75, 100};
    char text[SPARKLINE_SIZE];
    for (unsigned i = 0; i < sizeof rtts / sizeof *rtts; i++)
        note(&all, "1-1", i, rtts[i], 0);
    history_sparkline(history_find(&all, "1-1"), SERIES_RTT, 99, true, text);
    cr_expect_str_eq(text, "▁▂▄▆█");
    history_sparkline(history_find(&all, "1-1"), SERIES_RTT, 3, false, text);
    cr_expect_str_eq(text, "-+#");
    history_sparkline(history_find(&all, "1-1"), SERIES_SENT, 99, false, text);
    cr_expect_str_eq(text, " ____", "no rate before the second sample, then none sent");
    history_sparkline(history_find(&all, "1-1"), SERIES_CWND, 0, false, text);
    cr_expect_str_eq(text, "");
    histories_free(&all);
}
