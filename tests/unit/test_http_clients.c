/* SPDX-License-Identifier: MIT */
/*
 * Which clients are disconnected when there is no room or they take too long; which hosts are ours.
 */
#include "clock.h"
#include "host_check.h"
#include "http_clients.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct http_group range_of(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return http_group_of_address((const struct sockaddr *)&v4);
    cr_assert_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return http_group_of_address((const struct sockaddr *)&v6);
}

static bool same_range(const char *one, const char *other)
{
    struct http_group a = range_of(one), b = range_of(other);
    return memcmp(&a, &b, sizeof a) == 0;
}

static void remove_all(struct http_clients *clients)
{
    while (clients->first != NULL)
        http_client_remove(clients->first);
}

static unsigned count_living(const struct http_clients *clients)
{
    unsigned count = 0;
    for (const struct http_client *client = clients->first; client != NULL; client = client->next)
        count += !client->ended;
    return count;
}

Test(http_clients, ranges)
{
    struct http_group user = http_group_of_user(5), other = http_group_of_user(6);
    cr_expect(same_range("192.0.2.1", "192.0.2.200"));
    cr_expect(!same_range("192.0.2.1", "192.0.3.1"));
    cr_expect(same_range("192.0.2.1", "::ffff:192.0.2.9"));
    cr_expect(same_range("2001:db8::1", "2001:db8::ffff:1"));
    cr_expect(!same_range("2001:db8::1", "2001:db8:0:1::1"));
    cr_expect_neq(memcmp(&user, &other, sizeof user), 0);
}

Test(http_clients, the_oldest_of_a_full_group_goes)
{
    struct http_clients clients = {0};
    struct http_group group = http_group_of_user(1000);
    struct http_client *first = http_client_add(&clients, -1, group, 1);
    struct http_client *second = http_client_add(&clients, -1, group, 2);
    const struct http_client *other = http_client_add(&clients, -1, http_group_of_user(0), 0);
    http_client_progress(first, true, 1); /* a request of it is being answered */
    for (unsigned i = 2; i < HTTP_GROUP_CLIENTS_MAX; i++)
        (void)http_client_add(&clients, -1, group, 10 + i);
    cr_expect(!second->ended);
    (void)http_client_add(&clients, -1, group, 100);
    cr_expect(second->ended);
    cr_expect(!first->ended && !other->ended && !clients.first->ended);
    remove_all(&clients);
}

Test(http_clients, where_all_are_being_answered_the_newest_goes)
{
    struct http_clients clients = {0};
    struct http_group group = http_group_of_user(1000);
    for (unsigned i = 0; i < HTTP_GROUP_CLIENTS_MAX; i++)
        http_client_progress(http_client_add(&clients, -1, group, i), true, i);
    cr_expect(http_client_add(&clients, -1, group, 100)->ended);
    remove_all(&clients);
}

Test(http_clients, a_crowd_makes_room_for_one)
{
    struct http_clients clients = {0};
    const struct http_client *one;
    for (unsigned i = 0; i < 2 * HTTP_CLIENTS_MAX; i++) {
        char address[32];
        snprintf(address, sizeof address, "127.0.%u.1", i / 4);
        cr_assert_not_null(http_client_add(&clients, -1, range_of(address), i));
    }
    cr_expect_eq(count_living(&clients), HTTP_CLIENTS_MAX);
    one = http_client_add(&clients, -1, range_of("192.0.2.1"), 1000);
    for (unsigned i = 0; i < 100; i++)
        (void)http_client_add(&clients, -1, range_of("127.0.9.1"), 1001 + i);
    cr_expect(!one->ended);
    cr_expect_eq(count_living(&clients), HTTP_CLIENTS_MAX);
    remove_all(&clients);
}

Test(http_clients, time_is_limited)
{
    struct http_clients clients = {0};
    struct http_group group = http_group_of_user(1000);
    struct http_client *slow = http_client_add(&clients, -1, group, SECOND);
    struct http_client *answered = http_client_add(&clients, -1, group, SECOND);
    http_client_progress(answered, true, 2 * SECOND);
    http_clients_expire(&clients, (HTTP_REQUEST_SECONDS + 1) * SECOND);
    cr_expect(!slow->ended);
    http_clients_expire(&clients, (HTTP_REQUEST_SECONDS + 2) * SECOND);
    cr_expect(slow->ended && !answered->ended);
    http_clients_expire(&clients, (HTTP_ANSWER_SECONDS + 3) * SECOND);
    cr_expect(answered->ended);
    remove_all(&clients);
}

Test(host_check, ours)
{
    static const char *const ours[] = {
        "127.0.0.1",      "127.0.0.1:9117", "[::1]",      "[2001:db8::1]:80", "localhost",
        "LocalHost:9117", "web1",           "WEB1.:9117", "a.example.org",    "db:9117"};
    static const char *const foreign[] = {"",
                                          "attacker.example",
                                          "web1.attacker.example",
                                          ":80",
                                          "[::1",
                                          "127.0.0.1.evil.example",
                                          "[web1",
                                          "localhost:80.evil",
                                          "web1:80@evil",
                                          "[]",
                                          "example.org.evil"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        cr_expect(host_is_ours(ours[i], "web1", "*.example.org  db "), "%s", ours[i]);
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        cr_expect(!host_is_ours(foreign[i], "web1", "*.example.org  db "), "%s", foreign[i]);
    cr_expect(host_is_ours(NULL, "web1", ""));
    cr_expect(!host_is_ours("", "", ""));
}
