/* SPDX-License-Identifier: MIT */
/*
 * The helper's model of connections: identities, iteration, history, sums.
 */
#include "connections.h"
#include "policy.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct connection_start start_of(uint64_t cookie)
{
    return (struct connection_start){
        .netns = 1,
        .cookie = cookie,
        .opened = 1000,
        .program = "curl",
        .rule = "all",
        .flow = {.local_port = 40000, .remote_port = 443, .family = AF_INET},
        .pid = 7,
        .uid = 1000,
        .protocol = IPPROTO_TCP,
        .role = ROLE_CONNECT,
        .options.applied = 2};
}

static struct connection *open_one(struct connections *all, uint64_t cookie)
{
    struct connection_start start = start_of(cookie);
    struct connection *connection = connections_open(all, &start);
    cr_assert_not_null(connection);
    connections_confirm(all, connection);
    return connection;
}

static void put(uint8_t *info, const char *name, uint64_t value)
{
    const struct tcp_info_field *field = tcp_info_find(name);
    cr_assert_not_null(field);
    memcpy(info + field->offset, &value, field->width);
}

/* A reading with these figures, stored in `info`. */
static struct connection_reading reading_of(uint8_t info[280], uint64_t when, uint64_t sent,
                                            uint32_t segments)
{
    memset(info, 0, 280);
    put(info, "bytes_sent", sent);
    put(info, "bytes_acked", sent + 2);
    put(info, "segs_out", segments);
    put(info, "segs_in", segments);
    put(info, "rtt", 1500);
    put(info, "min_rtt", 1000);
    return (struct connection_reading){
        .when = when, .state = 1, .info = info, .info_length = 280, .congestion = "cubic"};
}

Test(connections, is_found_by_identity_until_it_closes)
{
    struct connections *all = connections_new(10);
    open_one(all, 5);
    cr_assert_not_null(connections_find(all, 1, 5));
    cr_assert_null(connections_find(all, 2, 5));
    cr_assert_null(connections_find(all, 1, 6));
    connections_close(all, connections_get(all, 1, 5), DATA_LOST, NULL);
    cr_assert_null(connections_find(all, 1, 5));
    cr_assert_eq(connections_size(all).open, 0);
    cr_assert_eq(connections_size(all).closed, 1);
    connections_free(all);
}

Test(connections, the_same_socket_counts_once)
{
    struct connections *all = connections_new(10);
    struct connection *first = open_one(all, 5);
    cr_assert_eq(open_one(all, 5), first);
    cr_assert_eq(connections_size(all).open, 1);
    cr_assert_eq(aggregates_at(connections_aggregates(all), 0)->opened, 1);
    connections_free(all);
}

/* Random opens and closes, compared with a plain array: deletion from the table is error-prone. */
Test(connections, agrees_with_a_plain_set_under_churn)
{
    struct connections *all = connections_new(3);
    static bool open[4096];
    size_t count = 0;
    srand(1);
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t cookie = (uint64_t)(rand() % 4096);
        if (!open[cookie])
            open_one(all, cookie << 12 | 1);
        else
            connections_close(all, connections_get(all, 1, cookie << 12 | 1), DATA_LOST, NULL);
        open[cookie] = !open[cookie];
        count += open[cookie] ? 1 : (size_t)-1;
        cr_assert_eq(connections_size(all).open, count);
    }
    for (uint64_t cookie = 0; cookie < 4096; cookie++)
        cr_assert_eq(connections_find(all, 1, cookie << 12 | 1) != NULL, open[cookie]);
    connections_free(all);
}

Test(connections, a_walk_meets_each_once_whatever_comes_and_goes)
{
    struct connections *all = connections_new(0);
    struct connection_filter filter = {0};
    static unsigned met[3001];
    const struct connection *found;
    uint64_t cursor = 0, next = 3001;
    size_t budget;
    for (uint64_t cookie = 1; cookie <= 3000; cookie++)
        open_one(all, cookie);
    do {
        budget = 7;
        while ((found = connections_next(all, &filter, &cursor, &budget)) != NULL)
            if (found->cookie <= 3000)
                met[found->cookie]++;
        /* Remove every third connection, and add a new one. */
        if (next % 3 == 0 && connections_get(all, 1, next - 3000) != NULL)
            connections_close(all, connections_get(all, 1, next - 3000), DATA_LOST, NULL);
        open_one(all, next++);
    } while (budget == 0 && next < 5000);
    for (uint64_t cookie = 1; cookie <= 3000; cookie++) {
        cr_assert_leq(met[cookie], 1);
        if (connections_find(all, 1, cookie) != NULL)
            cr_assert_eq(met[cookie], 1, "%u", (unsigned)cookie);
    }
    connections_free(all);
}

Test(connections, any_cursor_is_valid)
{
    struct connections *all = connections_new(2);
    struct connection_filter filter = {0};
    uint64_t cursor = UINT64_MAX;
    size_t budget = 10;
    open_one(all, 1);
    cr_assert_null(connections_next(all, &filter, &cursor, &budget));
    cursor = UINT64_MAX;
    cr_assert_null(connections_next_closed(all, &filter, &cursor, &budget));
    cr_assert_eq(budget, 10);
    connections_free(all);
}

Test(connections, history_keeps_the_newest)
{
    struct connections *all = connections_new(3);
    struct connection_filter filter = {0};
    uint64_t cursor = 0;
    size_t budget = 100;
    for (uint64_t cookie = 1; cookie <= 5; cookie++) {
        open_one(all, cookie);
        connections_close(all, connections_get(all, 1, cookie), DATA_LOST, NULL);
    }
    for (uint64_t cookie = 3; cookie <= 5; cookie++)
        cr_assert_eq(connections_next_closed(all, &filter, &cursor, &budget)->cookie, cookie);
    cr_assert_null(connections_next_closed(all, &filter, &cursor, &budget));
    cr_assert_eq(connections_set_history(all, 1), 0);
    cursor = 0;
    cr_assert_eq(connections_next_closed(all, &filter, &cursor, &budget)->cookie, 5);
    cr_assert_null(connections_next_closed(all, &filter, &cursor, &budget));
    cr_assert_eq(connections_set_history(all, 0), 0);
    open_one(all, 9);
    connections_close(all, connections_get(all, 1, 9), DATA_LOST, NULL);
    cr_assert_eq(connections_size(all).closed, 0);
    connections_free(all);
}

Test(connections, filters)
{
    struct connections *all = connections_new(3);
    struct connection_filter none = {.program = "wget*"}, some = {.program = "cu*", .rule = "all"};
    struct connection_filter user = {.one_user = true, .uid = 1}, roles = {.roles = ROLE_LISTEN};
    const struct connection_filter *empty[] = {&none, &user, &roles};
    uint64_t cursor = 0;
    size_t budget = 1000;
    open_one(all, 1);
    cr_assert_not_null(connections_next(all, &some, &cursor, &budget));
    for (unsigned i = 0; i < 3; i++) {
        cursor = 0;
        cr_assert_null(connections_next(all, empty[i], &cursor, &budget));
    }
    connections_free(all);
}

Test(connections, sums_add_what_rose)
{
    struct connections *all = connections_new(3);
    struct connection *connection = open_one(all, 1);
    uint8_t info[280];
    struct connection_reading reading = reading_of(info, 2000, 100, 3);
    const struct aggregate *aggregate = aggregates_at(connections_aggregates(all), 0);
    connections_sample(all, connection, &reading);
    reading = reading_of(info, 3000, 250, 5);
    connections_sample(all, connection, &reading);
    cr_assert_eq(aggregate->sums[SUM_bytes_sent], 250);
    cr_assert_eq(aggregate->sums[SUM_segs_out], 5);
    reading = reading_of(info, 4000, 300, 6);
    connections_close(all, connection, DATA_FINAL, &reading);
    cr_assert_eq(aggregate->sums[SUM_bytes_sent], 300);
    cr_assert_eq(aggregate->open, 0);
    cr_assert_eq(aggregate->closed[CLOSE_FIN], 1);
    cr_assert_eq(aggregate->applied, 2);
    connections_free(all);
}

Test(connections, a_counter_may_wrap_around)
{
    struct connections *all = connections_new(3);
    struct connection *connection = open_one(all, 1);
    uint8_t info[280];
    struct connection_reading reading = reading_of(info, 2000, 1, UINT32_MAX - 1);
    const struct aggregate *aggregate = aggregates_at(connections_aggregates(all), 0);
    connections_sample(all, connection, &reading);
    reading = reading_of(info, 3000, 1, 3);
    connections_sample(all, connection, &reading);
    cr_assert_eq(aggregate->sums[SUM_segs_out], (uint64_t)UINT32_MAX - 1 + 5);
    connections_free(all);
}

/* SO_LINGER with 0 clears the figures before the end is reported. */
Test(connections, wiped_finals_leave_the_last_sample)
{
    struct connections *all = connections_new(3);
    struct connection *connection = open_one(all, 1);
    struct connection_filter filter = {0};
    uint8_t info[280];
    struct connection_reading reading = reading_of(info, 2000, 100, 3);
    const struct connection *closed;
    struct tcp_info_bytes kept;
    uint64_t cursor = 0, sent = 0;
    size_t budget = 10;
    connections_sample(all, connection, &reading);
    reading = reading_of(info, 3000, 0, 0);
    connections_close(all, connection, DATA_FINAL, &reading);
    closed = connections_next_closed(all, &filter, &cursor, &budget);
    cr_assert_eq(closed->data, DATA_SAMPLE);
    cr_assert_eq(closed->close_reason, CLOSE_ABORTED);
    cr_assert_eq(closed->closed, 3000);
    connection_info(closed, &kept);
    cr_assert_eq(tcp_info_get(tcp_info_find("bytes_sent"), &kept, &sent), TCP_INFO_VALUE);
    cr_assert_eq(sent, 100);
    cr_assert_eq(aggregates_at(connections_aggregates(all), 0)->sums[SUM_bytes_sent], 100);
    connections_free(all);
}

Test(connections, a_rejected_one_leaves_no_trace_but_its_count)
{
    struct connections *all = connections_new(3);
    connections_reject(all, open_one(all, 1));
    cr_assert_eq(connections_size(all).open, 0);
    cr_assert_eq(connections_size(all).closed, 0);
    cr_assert_eq(aggregates_at(connections_aggregates(all), 0)->open, 0);
    cr_assert_eq(aggregates_at(connections_aggregates(all), 0)->closed[CLOSE_REJECTED], 1);
    connections_free(all);
}

Test(connections, hundred_thousand_fit_into_64_mb)
{
    struct connections *all = connections_new(1000);
    for (uint64_t cookie = 1; cookie <= 100000; cookie++)
        open_one(all, cookie);
    cr_assert_lt(connections_size(all).memory, 60u << 20, "%zu", connections_size(all).memory);
    for (uint64_t cookie = 1; cookie <= 100000; cookie++)
        connections_close(all, connections_get(all, 1, cookie), DATA_LOST, NULL);
    cr_assert_lt(connections_size(all).memory, 2u << 20, "%zu", connections_size(all).memory);
    connections_free(all);
}

Test(connections, options_read_back_go_with_it)
{
    struct connections *all = connections_new(1);
    struct connection *connection = open_one(all, 5);
    const size_t before = connections_size(all).memory;
    const uint8_t options[] = {3, 1, 9}, more[] = {3, 1, 9, 4, 2, 1, 1};
    cr_assert_null(connection->options);
    connections_set_options(all, connection, options, sizeof options);
    connections_set_options(all, connection, more, sizeof more);
    cr_assert_eq(connection->options->length, sizeof more);
    cr_assert_arr_eq(connection->options->bytes, more, sizeof more);
    cr_assert_gt(connections_size(all).memory, before);
    connections_close(all, connection, DATA_LOST, NULL);
    open_one(all, 6);
    connections_close(all, connections_get(all, 1, 6), DATA_LOST, NULL);
    cr_assert_eq(connections_size(all).memory, before, "gone with the history");
    connection = open_one(all, 7);
    connections_set_options(all, connection, options, sizeof options);
    connections_reject(all, connection);
    connections_set_options(all, open_one(all, 8), options, sizeof options);
    connections_free(all);
}

/* Connections that count in sums */

/* A connection that only its program reports may be forged. */
Test(connections, a_connection_counts_once_the_kernel_has_confirmed_it)
{
    struct connections *all = connections_new(4);
    struct connection_start start = start_of(1);
    struct connection *connection = connections_open(all, &start);
    cr_assert_eq(aggregates_count(connections_aggregates(all)), 0);
    connections_close(all, connection, DATA_LOST, NULL);
    cr_assert_eq(aggregates_count(connections_aggregates(all)), 0);
    connection = connections_open(all, &start);
    connections_confirm(all, connection);
    connections_confirm(all, connection);
    cr_assert_eq(aggregates_at(connections_aggregates(all), 0)->opened, 1);
    cr_assert_eq(aggregates_at(connections_aggregates(all), 0)->applied, 2);
    connections_free(all);
}

/* After a restart of the helper, programs report connections that were already open. */
Test(connections, of_an_adopted_one_only_what_it_does_from_now_on_counts)
{
    struct connections *all = connections_new(4);
    struct connection_start start = start_of(1);
    uint8_t info[280] = {0};
    struct connection_reading reading = {
        .when = 5000, .state = 1, .info = info, .info_length = sizeof info};
    start.adopted = true;
    struct connection *connection = connections_open(all, &start);
    put(info, "segs_out", 10);
    put(info, "bytes_sent", 1000000);
    connections_sample(all, connection, &reading);
    connections_confirm(all, connection);
    const struct aggregate *aggregate = aggregates_at(connections_aggregates(all), 0);
    cr_assert_eq(aggregate->sums[SUM_bytes_sent], 0);
    put(info, "bytes_sent", 1000007);
    connections_sample(all, connection, &reading);
    cr_assert_eq(aggregate->sums[SUM_bytes_sent], 7);
    connections_free(all);
}

Test(connections, a_record_that_knows_less_does_not_replace_what_is_known)
{
    struct connections *all = connections_new(4);
    struct connection_start start = start_of(1);
    struct connection *connection = open_one(all, 1);
    start.flow.remote_port = 0;
    start.adopted = true;
    start.opened = 9000;
    connections_open(all, &start);
    cr_assert_eq(connection->flow.remote_port, 443);
    cr_assert_eq(connection->opened, 1000);
    cr_assert_eq(aggregates_at(connections_aggregates(all), 0)->applied, 2);
    connections_free(all);
}
