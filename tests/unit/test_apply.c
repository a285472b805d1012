/* SPDX-License-Identifier: MIT */
/*
 * The engine on a socket in memory: what it reads, what it sets, in which order, and what it leaves
 * unchanged. No real socket is created.
 */
#include "apply.h"
#include "compiled.h"
#include "endpoint.h"
#include "fake_socket.h"
#include "learn.h"
#include "undo.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

static struct address address_of(const char *text)
{
    struct sockaddr_storage storage;
    struct address address;
    uint16_t port;
    cr_assert_null(endpoint_read(text, AF_INET, &storage), "%s", text);
    cr_assert_neq(address_read((struct sockaddr *)&storage, sizeof storage, &address, &port), 0);
    return address;
}

/* The results as text, in order. */
struct results {
    char text[512];
};

static void note(const struct application *application, const struct policy_action *action,
                 enum phase phase, enum applied result, int error)
{
    static const char *const words[] = {"set", "failed", "kept"};
    struct results *results = application->context;
    size_t used = strlen(results->text);
    (void)phase;
    snprintf(results->text + used, sizeof results->text - used, "%s%s %s%s%s", used ? "; " : "",
             policy_string(application->policy, application->policy->options[action->option].name),
             words[result], error ? " " : "", error ? strerrorname_np(error) : "");
}

/* Decide and apply in one phase, under all rules of `rules`. */
static const char *applied(const char *rules, struct fake_socket *fake, struct sockinfo sockinfo,
                           enum phase phase, const struct default_value *defaults,
                           enum apply_timing timing)
{
    static struct results results;
    struct compiled c = compiled_from(rules);
    uint32_t indices[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct active active = {indices, c.policy.rule_count};
    struct socket_handle socket = fake_socket_handle(fake);
    struct decision decision;
    struct application application = {.policy = &c.policy,
                                      .sockinfo = &sockinfo,
                                      .socket = &socket,
                                      .phases = PHASE_BIT(phase),
                                      .timing = timing,
                                      .defaults = defaults,
                                      .one_kind = true,
                                      .report = note,
                                      .context = &results};
    results.text[0] = 0;
    learn_decision(&c.policy, &active, &socket, &sockinfo, phase, PHASE_BIT(phase), &decision);
    apply_actions(&application, &decision);
    compiled_free(&c);
    return results.text;
}

static int value_of(const struct fake_socket *fake, int level, int optname)
{
    const struct fake_option *option = fake_socket_option(fake, level, optname);
    int value = FAKE_UNSET;
    if (option != NULL)
        memcpy(&value, option->value, sizeof value);
    return value;
}

static struct fake_socket tcp(void)
{
    return (struct fake_socket){.domain = AF_INET, .type = SOCK_STREAM, .protocol = IPPROTO_TCP};
}

#define CONNECTING "match = { role = \"connect\"; }; "

Test(apply, a_rule_that_needs_no_fact_asks_for_none)
{
    struct fake_socket fake = tcp();
    cr_expect_str_eq(applied("rules = ( { match = { remote = \"10.0.0.0/8\"; };"
                             "            set = { SO_KEEPALIVE = true; }; } );",
                             &fake, sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT, NULL,
                             APPLY_IN_TIME),
                     "SO_KEEPALIVE set");
    cr_expect_eq(fake.calls, 1, "one setsockopt and nothing else, not %u", fake.calls);
}

Test(apply, a_rule_that_cannot_match_asks_for_nothing)
{
    struct fake_socket fake = tcp();
    cr_expect_str_eq(applied("rules = ( { match = { remote = \"10.0.0.0/8\"; role = \"connect\"; };"
                             "            set = { SO_KEEPALIVE = true; }; } );",
                             &fake, sockinfo_connecting_to("192.0.2.1:80"), PHASE_CONNECT, NULL,
                             APPLY_IN_TIME),
                     "");
    cr_expect_eq(fake.calls, 0);
}

Test(apply, an_option_that_is_refused_stops_no_other)
{
    struct fake_socket fake = tcp();
    fake.type = SOCK_DGRAM;
    fake.protocol = IPPROTO_UDP;
    cr_expect_str_eq(applied("rules = ( { match = { remote = \"10.0.0.0/8\"; };"
                             "  set = { TCP_NODELAY = true; IP_TTL = 9; }; } );",
                             &fake, sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT, NULL,
                             APPLY_IN_TIME),
                     "IP_TTL set; TCP_NODELAY failed ENOPROTOOPT");
    cr_expect_eq(value_of(&fake, IPPROTO_IP, IP_TTL), 9);
}

Test(apply, a_default_gives_way_to_what_the_program_set)
{
    static const char rules[] = "rules = ( { " CONNECTING "default = { TCP_KEEPCNT = 3; }; } );";
    const int unset = FAKE_UNSET, own = 7;
    struct default_value defaults = {.length = sizeof unset};
    struct fake_socket fake = tcp();
    struct socket_handle socket = fake_socket_handle(&fake);
    memcpy(defaults.bytes, &unset, sizeof unset);
    cr_expect_str_eq(applied(rules, &fake, sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT,
                             &defaults, APPLY_IN_TIME),
                     "TCP_KEEPCNT set");
    cr_assert_eq(socket.ops->set(&socket, IPPROTO_TCP, TCP_KEEPCNT, &own, sizeof own), 0);
    cr_expect_str_eq(applied(rules, &fake, sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT,
                             &defaults, APPLY_IN_TIME),
                     "TCP_KEEPCNT kept");
    cr_expect_eq(value_of(&fake, IPPROTO_TCP, TCP_KEEPCNT), own);
}

Test(apply, what_comes_late_gives_way_too_unless_it_is_forced)
{
    const int unset = FAKE_UNSET, own = 7;
    struct default_value defaults = {.length = sizeof unset};
    struct fake_socket fake = tcp();
    struct socket_handle socket = fake_socket_handle(&fake);
    memcpy(defaults.bytes, &unset, sizeof unset);
    cr_assert_eq(socket.ops->set(&socket, IPPROTO_TCP, TCP_KEEPCNT, &own, sizeof own), 0);
    cr_expect_str_eq(applied("rules = ( { " CONNECTING "set = { TCP_KEEPCNT = 3; }; } );", &fake,
                             sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT, &defaults,
                             APPLY_LATE),
                     "TCP_KEEPCNT kept");
    cr_expect_str_eq(applied("rules = ( { " CONNECTING "force = { TCP_KEEPCNT = 3; }; } );", &fake,
                             sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT, &defaults,
                             APPLY_LATE),
                     "TCP_KEEPCNT set");
}

Test(apply, a_code_point_leaves_the_bits_of_congestion_notification_alone)
{
    const int ect = 2;
    struct fake_socket fake = tcp();
    struct socket_handle socket = fake_socket_handle(&fake);
    cr_assert_eq(socket.ops->set(&socket, IPPROTO_IP, IP_TOS, &ect, sizeof ect), 0);
    applied("rules = ( { " CONNECTING "set = { dscp = \"EF\"; }; } );", &fake,
            sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT, NULL, APPLY_IN_TIME);
    cr_expect_eq(value_of(&fake, IPPROTO_IP, IP_TOS), 46 << 2 | ect);
}

Test(apply, a_source_is_bound_once_and_only_to_peers_of_its_kind)
{
    static const char rules[] = "rules = ( { set = { source = \"192.0.2.9\"; }; } );";
    struct fake_socket fake = tcp();
    struct address bound, source = address_of("192.0.2.9:0");
    uint16_t port;
    cr_expect_str_eq(applied(rules, &fake, sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT,
                             NULL, APPLY_IN_TIME),
                     "source set");
    address_read((struct sockaddr *)&fake.local, sizeof fake.local, &bound, &port);
    cr_expect_arr_eq(bound.bytes, source.bytes, sizeof bound.bytes);
    cr_expect_str_eq(applied(rules, &fake, sockinfo_connecting_to("10.0.0.2:80"), PHASE_CONNECT,
                             NULL, APPLY_IN_TIME),
                     "");
}

/* Another peer */

/* Connect to the first peer, then prepare for the second; `own`: the program has set IP_TTL. */
static void connect_to_both(struct fake_socket *fake, const char *first, const char *second,
                            bool own)
{
    struct compiled c = compiled_from("rules = ( { match = { remote = \"10.0.0.0/8\"; };"
                                      "            set = { IP_TTL = 9; SO_SNDBUF = 4096; }; } );");
    const uint32_t indices[] = {0};
    struct active active = {indices, 1};
    struct socket_handle socket = fake_socket_handle(fake);
    struct sockinfo sockinfo = sockinfo_connecting_to(first);
    struct undo_notes notes = {0};
    struct decision decision;
    struct application application = {.policy = &c.policy,
                                      .active = &active,
                                      .sockinfo = &sockinfo,
                                      .socket = &socket,
                                      .phases = PHASE_BIT(PHASE_CONNECT)};
    learn_decision(&c.policy, &active, &socket, &sockinfo, PHASE_CONNECT, application.phases,
                   &decision);
    notes.given = undo_given(&c.policy, &decision);
    apply_actions(&application, &decision);
    for (uint32_t i = 0; own && i < c.policy.option_count; i++)
        notes.own |= c.policy.options[i].level == IPPROTO_IP ? undo_bit_of_option(&c.policy, i) : 0;
    sockinfo = sockinfo_connecting_to(second);
    learn_decision(&c.policy, &active, &socket, &sockinfo, PHASE_CONNECT, application.phases,
                   &decision);
    undo_former_peer(&application, &decision, &notes);
    compiled_free(&c);
}

Test(undo, options_of_the_former_peers_rule_are_taken_back)
{
    struct fake_socket fresh = tcp(), fake = tcp();
    fake.fresh = &fresh;
    connect_to_both(&fake, "10.0.0.1:80", "192.0.2.1:80", false);
    cr_expect_eq(value_of(&fake, IPPROTO_IP, IP_TTL), FAKE_UNSET);
    fake = tcp();
    fake.fresh = &fresh;
    connect_to_both(&fake, "10.0.0.1:80", "192.0.2.1:80", true);
    cr_expect_eq(value_of(&fake, IPPROTO_IP, IP_TTL), 9, "the program's own");
    fake = tcp();
    fake.fresh = &fresh;
    connect_to_both(&fake, "10.0.0.1:80", "10.0.0.2:80", false);
    cr_expect_eq(value_of(&fake, IPPROTO_IP, IP_TTL), 9, "the rule is for that one, too");
    fake = tcp();
    connect_to_both(&fake, "10.0.0.1:80", "192.0.2.1:80", false);
    cr_expect_eq(value_of(&fake, IPPROTO_IP, IP_TTL), 9, "no socket to learn the values from");
}

/* Learning */

Test(learn, the_history_of_a_socket_shows_in_its_state)
{
    static const struct {
        enum fake_state state;
        unsigned roles;
        bool connection;
    } rows[] = {{FAKE_LISTENS, ROLE_LISTEN | ROLE_ACCEPT, false},
                {FAKE_CONNECTED, ROLE_CONNECT, true},
                {FAKE_ACCEPTED, ROLE_ACCEPT, true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fake_socket fake = tcp();
        struct socket_handle socket = fake_socket_handle(&fake);
        struct sockinfo sockinfo;
        fake.state = rows[i].state;
        cr_assert(learn_history(&socket, &sockinfo));
        cr_expect_eq(sockinfo.roles, rows[i].roles);
        cr_expect_eq(sockinfo_is_connection(&sockinfo), rows[i].connection);
    }
}

Test(learn, sockets_of_other_families_have_no_history)
{
    struct fake_socket fake = {.domain = AF_NETLINK, .type = SOCK_RAW};
    struct socket_handle socket = fake_socket_handle(&fake);
    struct sockinfo sockinfo;
    cr_expect_not(learn_history(&socket, &sockinfo));
}

Test(learn, a_socket_that_is_not_bound_has_no_local_address)
{
    struct fake_socket fake = tcp();
    struct socket_handle socket = fake_socket_handle(&fake);
    struct sockinfo sockinfo = sockinfo_connecting_to("10.0.0.1:80");
    learn_facts(&socket, &sockinfo, FACT_LOCAL, PHASE_CONNECT);
    cr_expect_eq(sockinfo.known & FACT_LOCAL, 0);
    cr_expect_eq(sockinfo.unavailable & FACT_LOCAL, FACT_LOCAL);
}

/* Bounds */

/* The result of a rule of this mode on a socket with the value `before`; the new value in
 * `after`. */
static const char *bounded(const char *mode, const char *value, int before, int *after)
{
    char rules[256];
    struct fake_socket fake = tcp();
    fake_socket_put(&fake, IPPROTO_TCP, TCP_KEEPIDLE, &before, sizeof before);
    snprintf(rules, sizeof rules, "rules = ( { " CONNECTING "%s = { TCP_KEEPIDLE = %s; }; } );",
             mode, value);
    const char *result = applied(rules, &fake, sockinfo_connecting_to("10.0.0.1:80"), PHASE_CONNECT,
                                 NULL, APPLY_IN_TIME);
    *after = value_of(&fake, IPPROTO_TCP, TCP_KEEPIDLE);
    return result;
}

Test(apply, a_bound_is_given_where_the_value_is_beyond_it)
{
    static const struct {
        const char *mode, *result;
        int before, after;
    } rows[] = {
        {"at_least", "TCP_KEEPIDLE set", 59, 60},  {"at_least", "TCP_KEEPIDLE kept", 60, 60},
        {"at_least", "TCP_KEEPIDLE kept", 61, 61}, {"at_most", "TCP_KEEPIDLE set", 61, 60},
        {"at_most", "TCP_KEEPIDLE kept", 60, 60},  {"at_most", "TCP_KEEPIDLE kept", 59, 59},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int after;
        cr_expect_str_eq(bounded(rows[i].mode, "60", rows[i].before, &after), rows[i].result,
                         "%s 60 on %d", rows[i].mode, rows[i].before);
        cr_expect_eq(after, rows[i].after, "%s 60 on %d", rows[i].mode, rows[i].before);
    }
}

Test(apply, a_bound_of_a_buffer_is_compared_with_what_is_told_doubled)
{
    static const char rules[] =
        "rules = ( { " CONNECTING "at_least = { SO_SNDBUF = \"64K\"; }; } );";
    struct fake_socket fake = tcp();
    struct sockinfo sockinfo = sockinfo_connecting_to("10.0.0.1:80");
    const int below = 2 * 65535, enough = 2 * 65536;
    fake_socket_put(&fake, SOL_SOCKET, SO_SNDBUF, &below, sizeof below);
    cr_expect_str_eq(applied(rules, &fake, sockinfo, PHASE_CONNECT, NULL, APPLY_IN_TIME),
                     "SO_SNDBUF set");
    cr_expect_eq(value_of(&fake, SOL_SOCKET, SO_SNDBUF), enough);
    cr_expect_str_eq(applied(rules, &fake, sockinfo, PHASE_CONNECT, NULL, APPLY_IN_TIME),
                     "SO_SNDBUF kept");
}
