/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "fake_sock_diag.h"
#include "poller.h"
#include "tracked.h"

#include <criterion/criterion.h>
#include <sys/eventfd.h>

static struct fake_kernel *kernel;
static struct poller *poller;
static struct user_account user = {.uid = 1000, .processes = 1};
static struct user_account other_user = {.uid = 2000, .processes = 1};
static struct connection_owner owner;
static unsigned interval = 10;

static void set_up(void)
{
    kernel = fake_kernel_new();
    poller = poller_new(&kernel->conntrack, &interval);
    cr_assert_eq(poller_watch_own(poller, eventfd(0, 0), FAKE_NETNS), 0);
    owner = (struct connection_owner){.monitor = poller_join(poller, -1, FAKE_NETNS, &user),
                                      .user = &user};
    cr_assert_not_null(owner.monitor);
}

static void tear_down(void)
{
    poller_free(poller);
    fake_kernel_free(kernel);
}

TestSuite(poller, .init = set_up, .fini = tear_down);

static void open_socket(uint64_t cookie)
{
    struct connection_start start = tracked_start("web", "out", cookie);
    start.owner = &owner;
    start.opened = kernel->conntrack.now();
    start.flow.local_port = (uint16_t)(1000 + cookie);
    fake_kernel_add(&start, 1000);
    cr_assert(poller_open(poller, &start));
}

static const struct connection *find(uint64_t cookie)
{
    return connections_find(kernel->conntrack.connections, FAKE_NETNS, cookie);
}

/* As in schedule.c. */
static void pass_seconds(unsigned seconds)
{
    for (unsigned tick = 1; tick <= 20 * seconds; tick++) {
        fake_kernel_pass(POLLER_TICK_NS);
        (void)poller_read(poller);
        poller_look(poller);
        if (tick % 20 == 0)
            poller_each_second(poller);
    }
}

Test(poller, a_new_connection_is_looked_at_soon_and_then_once_an_interval)
{
    open_socket(1);
    pass_seconds(1);
    cr_assert_eq(find(1)->data, DATA_SAMPLE);
    unsigned lookups = kernel->lookups;
    pass_seconds(2 * interval);
    cr_assert_leq(kernel->lookups - lookups, 4);
    cr_assert_geq(kernel->lookups - lookups, 1);
}

Test(poller, many_connections_are_looked_at_by_one_dump)
{
    for (uint64_t cookie = 1; cookie <= 600; cookie++)
        open_socket(cookie);
    pass_seconds(3 * interval);
    unsigned lookups = kernel->lookups, dumps = kernel->dumps;
    pass_seconds(2 * interval);
    cr_assert_eq(kernel->lookups, lookups);
    cr_assert_eq(kernel->dumps, dumps + 2);
    cr_assert_geq(find(600)->sampled + interval * SECOND, kernel->conntrack.now());
}

Test(poller, a_missing_connection_is_lost_in_time)
{
    open_socket(1);
    pass_seconds(1);
    fake_kernel_forget(1);
    pass_seconds(interval + 20);
    cr_assert_not_null(find(1), "its end may be under way");
    pass_seconds(30);
    cr_assert_null(find(1));
}

Test(poller, and_sooner_where_the_kernel_lost_ends)
{
    open_socket(1);
    pass_seconds(1);
    fake_kernel_forget(1);
    kernel->overruns = 5;
    pass_seconds(interval + 5);
    cr_assert_null(find(1));
    cr_assert_eq(kernel->counts.dropped[DROP_OVERRUN], 5);
}

Test(poller, the_own_namespace_has_one_monitor_for_all_users)
{
    cr_assert_eq(poller_join(poller, eventfd(0, 0), FAKE_NETNS, &other_user), owner.monitor);
    poller_leave(poller, owner.monitor);
    poller_leave(poller, owner.monitor);
    cr_assert_eq(kernel->counts.namespaces.used, 1, "it is watched all the time");
}

Test(poller, another_namespace_has_one_for_each_user)
{
    struct netns_monitor *one = poller_join(poller, eventfd(0, 0), 7, &user),
                         *other = poller_join(poller, eventfd(0, 0), 7, &other_user);
    cr_assert_neq(one, other);
    cr_assert_eq(poller_join(poller, eventfd(0, 0), 7, &user), one);
    cr_assert_eq(poller_join(poller, -1, 7, &other_user), other,
                 "one that can have no socket shares it");
    cr_assert_eq(kernel->counts.namespaces.used, 3);
    poller_leave(poller, one);
    cr_assert_eq(kernel->counts.namespaces.used, 3);
    poller_leave(poller, one);
    cr_assert_eq(kernel->counts.namespaces.used, 2);
    poller_leave(poller, other);
    poller_leave(poller, other);
    cr_assert_eq(kernel->counts.namespaces.used, 1);
}

Test(poller, one_user_does_not_use_up_all_namespaces)
{
    unsigned taken = 0;
    kernel->counts.namespaces.limit = 21;
    for (uint64_t netns = 100; netns < 200; netns++)
        taken += poller_join(poller, eventfd(0, 0), netns, &user) != NULL;
    cr_assert_eq(taken, 10, "half of the 20 beside the helper's own");
    cr_assert_eq(user.namespaces, 10);
    cr_assert_not_null(poller_join(poller, eventfd(0, 0), 100, &user), "it is watched already");
    cr_assert_not_null(poller_join(poller, eventfd(0, 0), 100, &other_user));
}

Test(poller, a_namespace_without_sock_diag_is_blind)
{
    struct netns_monitor *blind = poller_join(poller, -1, 7, &user);
    cr_assert(netns_monitor_is_blind(blind));
    cr_assert_eq(poller_join(poller, -1, 7, &user), blind);
    cr_assert_neq(poller_join(poller, eventfd(0, 0), 7, &user), blind);
}

Test(poller, the_kernel_is_left_alone_as_long_as_it_has_room)
{
    kernel->room = 100000;
    cr_assert_eq(poller_patience(poller), POLLER_TICK_NS);
    kernel->room = 332; /* the result of net.core.rmem_max = 212992 */
    cr_assert_eq(poller_patience(poller), 332 * SECOND / 20000 / 2);
    kernel->room = 0;
    cr_assert_eq(poller_patience(poller), 0);
}

Test(poller, a_dump_is_under_way_until_it_was_read)
{
    struct connection_start start = tracked_start("web", "in", 1);
    start.owner = &owner;
    start.role = ROLE_LISTEN;
    fake_kernel_add(&start, 1000);
    cr_assert(poller_open(poller, &start));
    cr_assert_not(poller_is_dumping(poller));
    fake_kernel_pass(SECOND);
    poller_look(poller);
    cr_assert(poller_is_dumping(poller));
    (void)poller_read(poller);
    cr_assert_not(poller_is_dumping(poller));
}
