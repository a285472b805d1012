/* SPDX-License-Identifier: MIT */
/*
 * Ends that arrive before the records of their sockets, and sockets of Multipath TCP.
 */
#include "multipath.h"
#include "policy.h"
#include "recent_closes.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static struct sock_diag_answer answer_of(uint64_t cookie)
{
    struct sock_diag_answer answer = {
        .event = SOCK_DIAG_DESTROYED,
        .target = {.cookie = cookie, .flow = {.local_port = 80, .remote_port = 99}}};
    memcpy(answer.target.flow.local, &cookie, sizeof cookie);
    return answer;
}

static void add(struct recent_closes *ends, uint64_t cookie, uint64_t when)
{
    struct sock_diag_answer answer = answer_of(cookie);
    uint8_t info[300];
    memset(info, (int)cookie, sizeof info);
    answer.info = info;
    answer.info_length = sizeof info;
    recent_closes_grow(ends, when);
    recent_closes_add(ends, &answer, when, false);
}

/* Each CPU takes cookies from its own blocks of 4096, so the low bits of any two may be equal. */
Test(early, the_last_ends_are_kept_whatever_their_cookies)
{
    struct recent_closes *ends = recent_closes_new();
    const uint64_t count = UINT64_C(2) * RECENT_CLOSES_MAX;
    uint64_t cookies[2 * RECENT_CLOSES_MAX];
    for (uint64_t i = 0; i < count; i++) {
        cookies[i] = (i % 3) << 40 | (i / 3) << 12 | 1;
        add(ends, cookies[i], i);
    }
    for (uint64_t i = 0; i < count; i++) {
        const struct recent_close *end = recent_closes_find(ends, cookies[i]);
        if (i < RECENT_CLOSES_MAX) {
            cr_assert_null(end);
            continue;
        }
        cr_assert_eq(end->when, i);
        cr_assert_eq(end->info_length, CONNECTION_INFO_ROOM);
        cr_assert_eq(end->info[0], (uint8_t)cookies[i]);
    }
    recent_closes_free(ends);
}

Test(early, there_is_more_room_only_where_ends_come_quickly)
{
    struct recent_closes *ends = recent_closes_new();
    const size_t small = recent_closes_memory(ends);
    for (uint64_t i = 1; i <= UINT64_C(2) * RECENT_CLOSES_MIN; i++)
        add(ends, i, i * RECENT_CLOSE_AGE_NS);
    cr_assert_eq(recent_closes_memory(ends), small);
    cr_assert_null(recent_closes_find(ends, RECENT_CLOSES_MIN));
    cr_assert_not_null(recent_closes_find(ends, RECENT_CLOSES_MIN + 1));
    for (uint64_t i = 1; i <= RECENT_CLOSES_MIN; i++)
        add(ends, 1000000 + i, UINT64_C(3) * RECENT_CLOSES_MIN * RECENT_CLOSE_AGE_NS);
    cr_assert_eq(recent_closes_memory(ends), small, "what had to go was old");
    add(ends, 7, UINT64_C(3) * RECENT_CLOSES_MIN * RECENT_CLOSE_AGE_NS);
    cr_assert_gt(recent_closes_memory(ends), small);
    for (uint64_t i = 1; i <= RECENT_CLOSES_MIN; i++)
        cr_assert_not_null(recent_closes_find(ends, 1000000 + i));
    recent_closes_free(ends);
}

Test(early, figures_of_what_is_known_are_not_kept)
{
    struct recent_closes *ends = recent_closes_new();
    struct sock_diag_answer answer = answer_of(7);
    const uint8_t info[8] = {1};
    answer.info = info;
    answer.info_length = sizeof info;
    recent_closes_add(ends, &answer, 1, true);
    cr_assert(recent_closes_find(ends, 7)->known);
    cr_assert_eq(recent_closes_find(ends, 7)->info_length, 0);
    cr_assert_null(recent_closes_find(ends, 8));
    recent_closes_free(ends);
}

Test(early, the_newest_of_equal_ends_is_found_unless_it_is_too_old)
{
    struct recent_closes *ends = recent_closes_new();
    struct sock_diag_answer answer = answer_of(7);
    recent_closes_add(ends, &answer, 10, false);
    recent_closes_add(ends, &answer, 20, false);
    add(ends, 5, 30);
    cr_assert_eq(recent_closes_find_flow(ends, &answer.target.flow, 20)->when, 20);
    cr_assert_eq(recent_closes_find_flow(ends, &answer.target.flow, 0)->when, 20);
    cr_assert_null(recent_closes_find_flow(ends, &answer.target.flow, 21));
    answer.target.flow.remote_port++;
    cr_assert_null(recent_closes_find_flow(ends, &answer.target.flow, 0));
    recent_closes_free(ends);
}

/* Multipath TCP */

static struct connection connection_of(uint64_t cookie, uint16_t remote_port)
{
    return (struct connection){.cookie = cookie,
                               .flow = {.local = {1},
                                        .remote = {remote_port ? 2 : 0},
                                        .local_port = 80,
                                        .remote_port = remote_port}};
}

static void tell(void *context, struct multipath_socket *socket)
{
    uint64_t *sum = context;
    *sum += socket->cookie;
}

Test(multipath, connections_are_found_by_their_ends_whatever_the_cookie)
{
    struct multipath *all = multipath_new();
    struct connection one = connection_of(1, 1000), two = connection_of(2, 1001);
    uint64_t sum = 0;
    multipath_add(all, &one);
    multipath_add(all, &two);
    cr_assert_eq(multipath_find(all, &two.flow, 77 /* of the path */)->cookie, 2);
    multipath_each(all, tell, &sum);
    cr_assert_eq(sum, 3);
    multipath_remove(all, &two);
    cr_assert_null(multipath_find(all, &two.flow, 77));
    multipath_free(all);
}

Test(multipath, listeners_are_found_by_their_cookies)
{
    struct multipath *all = multipath_new();
    struct connection one = connection_of(1, 0), two = connection_of(2, 0);
    struct flow flow = one.flow;
    multipath_add(all, &one);
    multipath_add(all, &two);
    flow.remote[11] = 0xff; /* "any" has two representations */
    cr_assert_eq(multipath_find(all, &flow, 2)->cookie, 2);
    cr_assert_null(multipath_find(all, &flow, 3));
    multipath_remove(all, &one);
    cr_assert_null(multipath_find(all, &flow, 1));
    multipath_free(all);
}

Test(multipath, identities_differ_from_each_other_and_from_cookies)
{
    struct flow flow = {.local_port = 80, .remote_port = 1000};
    uint64_t first = multipath_identity(&flow, 1), later = multipath_identity(&flow, 2), other;
    cr_assert_eq(multipath_identity(&flow, 1), first);
    flow.remote_port++;
    other = multipath_identity(&flow, 2);
    cr_assert(first != later && first != other && later != other);
    cr_assert(first >> 63 && later >> 63 && other >> 63);
}

/* For connections accepted within microseconds, time and port differ only in a few bits. */
Test(multipath, identities_of_one_moment_differ)
{
    const uint64_t time = UINT64_C(1795765907456616123);
    const struct flow flow = {.local_port = 80, .remote_port = 40000};
    const uint64_t identity = multipath_identity(&flow, time);
    for (unsigned bits = 1; bits <= UINT16_MAX; bits++) {
        struct flow other = flow;
        other.remote_port ^= (uint16_t)bits;
        cr_assert_neq(multipath_identity(&other, time ^ bits), identity);
        other = flow;
        other.local_port ^= (uint16_t)bits;
        cr_assert_neq(multipath_identity(&other, time ^ (uint64_t)bits << 16), identity);
    }
}
