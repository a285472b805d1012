/* SPDX-License-Identifier: MIT */
#include "clock.h"
#include "fake_sock_diag.h"
#include "tracked.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/eventfd.h>

static struct fake_kernel *kernel;
static struct connections *all;
static struct netns_monitor *monitor;
static struct user_account user = {.uid = 1000, .processes = 1};
static struct connection_owner owner;

static void set_up(void)
{
    kernel = fake_kernel_new();
    all = kernel->conntrack.connections;
    monitor = netns_monitor_new(&kernel->conntrack, eventfd(0, 0), FAKE_NETNS, NULL);
    owner = (struct connection_owner){.monitor = monitor, .user = &user};
}

static void tear_down(void)
{
    netns_monitor_free(monitor);
    fake_kernel_free(kernel);
}

TestSuite(netns_monitor, .init = set_up, .fini = tear_down);

static struct connection_start start_of(uint64_t cookie)
{
    struct connection_start start = tracked_start("web", "out", cookie);
    start.owner = &owner;
    start.flow.local_port = (uint16_t)(10000 + cookie);
    return start;
}

/* Report a socket that the kernel has, and that belongs to `uid`. */
static struct connection *open_socket(uint64_t cookie, uid_t uid)
{
    struct connection_start start = start_of(cookie);
    bool refused;
    fake_kernel_add(&start, uid);
    return netns_monitor_open(monitor, &start, &refused);
}

static const struct connection *find(uint64_t cookie)
{
    return connections_find(all, FAKE_NETNS, cookie);
}

static const struct connection *newest_closed(void)
{
    const struct connection_filter any = {0};
    const struct connection *found, *newest = NULL;
    uint64_t cursor = 0;
    size_t budget = SIZE_MAX;
    while ((found = connections_next_closed(all, &any, &cursor, &budget)) != NULL)
        newest = found;
    return newest;
}

static void look(uint64_t cookie)
{
    netns_monitor_look(monitor, find(cookie));
    netns_monitor_flush(monitor);
}

Test(netns_monitor, a_lookup_gives_figures_and_the_owner)
{
    cr_assert_not_null(open_socket(1, 1000));
    cr_assert_eq(find(1)->data, DATA_NONE);
    look(1);
    cr_assert_eq(find(1)->data, DATA_SAMPLE);
    cr_assert(find(1)->verified);
    cr_assert_eq(kernel->counts.samples, 1);
    cr_assert_eq(netns_monitor_counts(monitor)->tracked, 1);
}

Test(netns_monitor, an_end_closes_the_connection_with_its_last_figures)
{
    open_socket(1, 1000);
    look(1);
    fake_kernel_destroy(1);
    (void)netns_monitor_read(monitor);
    cr_assert_null(find(1));
    cr_assert_eq(newest_closed()->data, DATA_FINAL);
    cr_assert_eq(newest_closed()->closed, kernel->conntrack.now());
    cr_assert_eq(owner.tracked, 0);
    cr_assert_eq(user.connections, 0);
}

Test(netns_monitor, an_end_that_comes_before_its_record_waits_for_it)
{
    struct connection_start start = start_of(1);
    bool refused;
    fake_kernel_destroy_unknown(&start);
    (void)netns_monitor_read(monitor);
    cr_assert_null(netns_monitor_open(monitor, &start, &refused));
    cr_assert_not(refused);
    cr_assert_eq(newest_closed()->cookie, 1);
    cr_assert_eq(newest_closed()->data, DATA_FINAL);
    /* The same record again, from a program that was started with the connection. */
    cr_assert_null(netns_monitor_open(monitor, &start, &refused));
    cr_assert_not(refused);
    cr_assert_eq(connections_size(all).closed, 1);
}

Test(netns_monitor, a_record_on_another_users_socket_is_rejected)
{
    open_socket(1, 0);
    look(1);
    cr_assert_null(find(1));
    cr_assert_eq(kernel->counts.dropped[DROP_FOREIGN], 1);
    cr_assert_eq(owner.foreign, 1);
    cr_assert_eq(connections_size(all).closed, 0);
}

Test(netns_monitor, a_socket_that_two_users_claim_is_the_kernels_to_tell)
{
    struct user_account liar = {.uid = 2000, .processes = 1};
    struct connection_owner lies = {.monitor = monitor, .user = &liar};
    struct connection_start forged = start_of(1);
    bool refused;
    forged.owner = &lies;
    forged.uid = 2000;
    cr_assert_not_null(netns_monitor_open(monitor, &forged, &refused));
    cr_assert_not_null(open_socket(1, 1000));
    cr_assert_eq(find(1)->uid, 1000);
    cr_assert_null(netns_monitor_open(monitor, &forged, &refused));
    cr_assert(refused);
    cr_assert_eq(find(1)->uid, 1000);
    cr_assert_eq(liar.connections, 0);
}

Test(netns_monitor, a_socket_that_is_not_found_is_missing_until_it_is_found_again)
{
    struct connection_start start = start_of(1);
    open_socket(1, 1000);
    fake_kernel_forget(1);
    look(1);
    cr_assert_eq(find(1)->missing_since, kernel->conntrack.now());
    cr_assert_eq(netns_monitor_take_missing(monitor), 1);
    cr_assert_eq(netns_monitor_take_missing(monitor), 0);
    cr_assert(netns_monitor_wants_dump(monitor), "it may be bound to an interface");
    fake_kernel_add(&start, 1000);
    look(1);
    cr_assert_eq(find(1)->missing_since, 0);
}

Test(netns_monitor, listeners_are_looked_at_by_a_dump_alone)
{
    struct connection_start start = start_of(1);
    bool refused;
    start.role = ROLE_LISTEN;
    start.flow.remote_port = 0;
    fake_kernel_add(&start, 1000);
    cr_assert_not_null(netns_monitor_open(monitor, &start, &refused));
    look(1);
    cr_assert_eq(kernel->lookups, 0);
    netns_monitor_dump(monitor, false);
    (void)netns_monitor_read(monitor);
    cr_assert_eq(kernel->dumps, 1, "no dump of a family that nothing is tracked of");
    cr_assert_eq(find(1)->queue.length, 3);
    cr_assert_eq(find(1)->queue.limit, 128);
}

Test(netns_monitor, what_a_dump_of_all_does_not_meet_is_missing)
{
    open_socket(1, 1000);
    open_socket(2, 1000);
    fake_kernel_pass(SECOND);
    fake_kernel_forget(2);
    netns_monitor_dump(monitor, true);
    (void)netns_monitor_read(monitor);
    cr_assert_eq(find(1)->missing_since, 0);
    cr_assert_neq(find(2)->missing_since, 0);
    cr_assert_eq(netns_monitor_sockets(monitor), 1);
}

Test(netns_monitor, nothing_is_looked_up_while_the_kernel_has_more_to_tell)
{
    open_socket(1, 1000);
    kernel->more = true;
    cr_assert(netns_monitor_read(monitor));
    look(1);
    cr_assert_eq(kernel->lookups, 0);
    kernel->more = false;
    cr_assert_not(netns_monitor_read(monitor));
    look(1);
    cr_assert_eq(kernel->lookups, 1);
}

Test(netns_monitor, a_socket_that_fails_leaves_its_connections_missing)
{
    open_socket(1, 1000);
    kernel->fails = true;
    (void)netns_monitor_read(monitor);
    cr_assert(netns_monitor_is_dead(monitor));
    cr_assert_neq(find(1)->missing_since, 0);
    netns_monitor_dump(monitor, true);
    cr_assert_eq(kernel->dumps, 0);
}

Test(netns_monitor, without_sock_diag_connections_end_with_their_process)
{
    struct netns_monitor *blind = netns_monitor_new(&kernel->conntrack, -1, FAKE_NETNS, &user);
    struct connection_start start = start_of(1);
    bool refused;
    owner.monitor = blind;
    cr_assert(netns_monitor_is_blind(blind));
    cr_assert_eq(netns_monitor_fd(blind), -1);
    cr_assert_not_null(netns_monitor_open(blind, &start, &refused));
    netns_monitor_look(blind, find(1));
    netns_monitor_flush(blind);
    cr_assert_eq(kernel->lookups, 0);
    netns_monitor_lose_all(&kernel->conntrack, &owner);
    cr_assert_eq(newest_closed()->close_reason, CLOSE_LOST);
    netns_monitor_free(blind);
}

/* UDP sockets */

static struct connection_start udp_start(uint64_t cookie)
{
    struct connection_start start = start_of(cookie);
    start.role = ROLE_DATAGRAM;
    start.protocol = IPPROTO_UDP;
    start.flow.remote_port = 0;
    return start;
}

static struct connection *open_udp(uint64_t cookie, uid_t uid)
{
    struct connection_start start = udp_start(cookie);
    bool refused;
    fake_kernel_add(&start, uid);
    return netns_monitor_open(monitor, &start, &refused);
}

static void dump_udp(uint32_t drops)
{
    kernel->drops = drops;
    netns_monitor_dump(monitor, false);
    (void)netns_monitor_read(monitor);
}

static const struct aggregate *only_aggregate(void)
{
    cr_assert_eq(aggregates_count(connections_aggregates(all)), 1);
    return aggregates_at(connections_aggregates(all), 0);
}

Test(netns_monitor, udp_sockets_are_looked_at_by_a_dump_soon)
{
    cr_assert_not(netns_monitor_wants_dump(monitor));
    open_udp(1, 1000);
    look(1);
    cr_assert_eq(kernel->lookups, 0);
    cr_assert(kernel->watches_udp, "their ends are told from now on");
    cr_assert(netns_monitor_wants_dump(monitor));
    dump_udp(5);
    cr_assert_eq(kernel->dumps, 1);
    cr_assert_not(netns_monitor_wants_dump(monitor));
    cr_assert_eq(find(1)->queue.length, 3);
    cr_assert_eq(find(1)->queue.limit, 4096);
    cr_assert_eq(find(1)->queue.dropped, 5);
    cr_assert_eq(netns_monitor_sockets(monitor), 0, "they are no connections");
}

Test(netns_monitor, drops_of_a_udp_socket_are_counted_from_its_beginning)
{
    open_udp(1, 1000);
    dump_udp(5);
    cr_assert_eq(only_aggregate()->dropped, 5);
    cr_assert_eq(only_aggregate()->queue_limit, 4096);
    dump_udp(7);
    cr_assert_eq(only_aggregate()->dropped, 7);
    fake_kernel_destroy(1);
    (void)netns_monitor_read(monitor);
    cr_assert_eq(newest_closed()->close_reason, CLOSE_DATAGRAM);
    cr_assert_eq(newest_closed()->data, DATA_FINAL);
    cr_assert_eq(only_aggregate()->dropped, 7);
    cr_assert_eq(only_aggregate()->queue_limit, 0);
    cr_assert_eq(only_aggregate()->closed[CLOSE_DATAGRAM], 1);
}

Test(netns_monitor, drops_from_before_a_helper_started_are_not_counted)
{
    struct connection_start start = udp_start(1);
    bool refused;
    start.adopted = true;
    fake_kernel_add(&start, 1000);
    cr_assert_not_null(netns_monitor_open(monitor, &start, &refused));
    dump_udp(5);
    cr_assert_eq(only_aggregate()->dropped, 0);
    dump_udp(7);
    cr_assert_eq(only_aggregate()->dropped, 2);
}

Test(netns_monitor, another_users_udp_socket_is_rejected)
{
    open_udp(1, 2000);
    dump_udp(5);
    cr_assert_null(find(1));
    cr_assert_eq(kernel->counts.dropped[DROP_FOREIGN], 1);
    cr_assert_eq(aggregates_count(connections_aggregates(all)), 0);
}

Test(netns_monitor, the_end_of_a_udp_socket_at_another_port_is_not_believed)
{
    struct connection_start told = udp_start(1), other = told;
    bool refused;
    other.flow.local_port++;
    fake_kernel_add(&told, 2000);
    cr_assert_not_null(netns_monitor_open(monitor, &other, &refused));
    fake_kernel_destroy(1);
    (void)netns_monitor_read(monitor);
    cr_assert_eq(kernel->counts.dropped[DROP_FOREIGN], 1);
    cr_assert_eq(connections_size(all).closed, 0);
}

Test(netns_monitor, ends_of_udp_sockets_are_told_only_while_there_are_some)
{
    open_udp(1, 1000);
    fake_kernel_destroy(1);
    (void)netns_monitor_read(monitor);
    cr_assert(kernel->watches_udp);
    netns_monitor_dump(monitor, false);
    cr_assert_not(kernel->watches_udp);
}

Test(netns_monitor, a_udp_socket_that_is_connected_after_bind_counts_once)
{
    struct connection_start start = udp_start(1);
    bool refused;
    start.options = (struct applied_options){.applied = 1, .named = 1, .names = {"SO_RCVBUF"}};
    fake_kernel_add(&start, 1000);
    cr_assert_not_null(netns_monitor_open(monitor, &start, &refused));
    dump_udp(0);
    start.flow.remote_port = 53;
    start.options =
        (struct applied_options){.applied = 2, .named = 2, .names = {"SO_RCVBUF", "IP_TOS"}};
    cr_assert_not_null(netns_monitor_open(monitor, &start, &refused));
    cr_assert_eq(only_aggregate()->opened, 1);
    cr_assert_eq(only_aggregate()->applied, 2);
    cr_assert_eq(only_aggregate()->outcome_count, 2);
    cr_assert_eq(only_aggregate()->outcomes[0].count, 1);
}
