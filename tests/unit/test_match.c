/* SPDX-License-Identifier: MIT */
/*
 * Matching: which rules match a program, which match a socket, which rule wins, and that the kernel
 * is queried only for facts that make a difference.
 */
#include "compiled.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* The rules of a policy that match a program, as a string of digits: "02". */
static const char *rules_for(const char *text, const char *executable, const char *const *argv,
                             uint32_t uid)
{
    static char answer[32];
    uint32_t indices[16];
    struct compiled c = compiled_from(text);
    const struct identity identity = {.executable = executable, .argv = argv, .uid = uid};
    uint32_t count = active_rules(&c.policy, &identity, indices);
    for (uint32_t i = 0; i < count; i++)
        answer[i] = (char)('0' + indices[i]);
    answer[count] = 0;
    compiled_free(&c);
    return answer;
}

#define SET "set = { SO_KEEPALIVE = true; };"

Test(match, programs)
{
    static const char rules[] = "rules = ("
                                "{ match = { program = \"nginx\"; }; " SET " },"
                                "{ match = { program = [\"python3\", \"perl\"]; }; " SET " },"
                                "{ match = { program = \"/usr/bin/*\"; }; " SET " },"
                                "{ match = { program = \"!nginx\"; }; " SET " },"
                                "{ match = { command = \"* -m http.server *\"; }; " SET " },"
                                "{ match = { user = \"root\"; }; " SET " },"
                                "{ " SET " } );";
    const char *const nginx[] = {"nginx: master", NULL};
    const char *const python[] = {"python3", "-m", "http.server", "80", NULL};
    const char *const applet[] = {"wget", NULL};
    cr_expect_str_eq(rules_for(rules, "/usr/sbin/nginx", nginx, 33), "06");
    cr_expect_str_eq(rules_for(rules, "/usr/bin/python3.11", python, 0), "123456");
    cr_expect_str_eq(rules_for(rules, "/bin/busybox", applet, 1), "36");
    cr_expect_str_eq(rules_for(rules, NULL, applet + 1, 1), "36", "neither path nor arguments");
}

Test(match, one_positive_condition_of_a_group_is_enough_and_no_negative_may_hold)
{
    static const char rules[] =
        "rules = ( { match = { program = [\"redis-*\", \"!redis-cli\"]; }; " SET " },"
        "          { match = { program = \"redis-*\"; command = [\"*a*\", \"*b*\", \"!*c*\"]; "
        "};" SET " }"
        " );";
    const char *const server[] = {"redis-server", "b", NULL}, *const cli[] = {"redis-cli", NULL},
                      *const excluded[] = {"redis-server", "abc", NULL};
    cr_expect_str_eq(rules_for(rules, "/x/redis-server", server, 1), "01");
    cr_expect_str_eq(rules_for(rules, "/x/redis-cli", cli, 1), "");
    cr_expect_str_eq(rules_for(rules, "/x/redis-server", excluded, 1), "0");
}

/* Sockets */

static struct address address(const char *text)
{
    struct address a;
    char mapped[INET6_ADDRSTRLEN + 8];
    snprintf(mapped, sizeof mapped, strchr(text, ':') != NULL ? "%s" : "::ffff:%s", text);
    cr_assert_eq(inet_pton(AF_INET6, mapped, a.bytes), 1, "%s", text);
    return a;
}

static struct sockinfo connecting(const char *remote, uint16_t port)
{
    struct sockinfo s = {.remote = address(remote),
                         .remote_port = port,
                         .families = strchr(remote, ':') != NULL ? FAMILY_INET6 : FAMILY_INET,
                         .protocols = PROTOCOL_TCP,
                         .roles = ROLE_CONNECT,
                         .known = FACT_ROLE | FACT_REMOTE,
                         .unavailable = FACT_LOCAL};
    return s;
}

/* The resulting options of a policy, as "NAME=text NAME=text", in the order of setting. */
static const char *decide(const struct compiled *c, const struct sockinfo *s, unsigned phases,
                          unsigned *missing)
{
    static char answer[512];
    uint32_t indices[32];
    struct decision decision;
    struct active active = {indices, c->policy.rule_count};
    for (uint32_t i = 0; i < c->policy.rule_count; i++)
        indices[i] = i;
    *missing = match_rules(&c->policy, &active, s, phases, &decision);
    answer[0] = 0;
    for (uint32_t i = 0; i < c->policy.option_count; i++) {
        if (decision.action[i] == NO_ACTION)
            continue;
        const struct policy_action *action = &c->policy.actions[decision.action[i]];
        snprintf(answer + strlen(answer), sizeof answer - strlen(answer), "%s%s=%s",
                 answer[0] ? " " : "", policy_string(&c->policy, c->policy.options[i].name),
                 policy_string(&c->policy, action->text));
    }
    return answer;
}

static const char *connect_to(const char *rules, const char *remote, uint16_t port)
{
    struct compiled c = compiled_from(rules);
    struct sockinfo s = connecting(remote, port);
    unsigned missing;
    const char *answer = decide(&c, &s, PHASE_ALL, &missing);
    cr_expect_eq(missing, 0, "%x", missing);
    compiled_free(&c);
    return answer;
}

Test(match, addresses_and_ports)
{
    static const char rules[] =
        "rules = ( { match = { remote = [\"10.0.0.0/8\", \"!10.9.0.0/16\", \"fd00::/8\"];"
        "                      remote_port = (80, \"8000-8999\", \"!8080\"); };"
        "            set = { SO_PRIORITY = 1; }; } );";
    static const struct {
        const char *remote;
        uint16_t port;
        bool matches;
    } rows[] = {
        {"10.1.2.3", 80, true},    {"10.1.2.3", 81, false},       {"10.1.2.3", 8999, true},
        {"10.1.2.3", 9000, false}, {"10.1.2.3", 8080, false},     {"10.9.2.3", 80, false},
        {"11.1.2.3", 80, false},   {"9.255.255.255", 80, false},  {"fd12::1", 80, true},
        {"fe80::1", 80, false},    {"::ffff:10.1.2.3", 80, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_str_eq(connect_to(rules, rows[i].remote, rows[i].port),
                         rows[i].matches ? "SO_PRIORITY=1" : "", "%s %u", rows[i].remote,
                         rows[i].port);
}

Test(match, prefix_lengths_that_are_no_multiple_of_eight)
{
    static const char rules[] =
        "rules = ( { match = { remote = [\"172.16.0.0/12\", \"2001:db8::/33\"]; };"
        "            set = { SO_PRIORITY = 1; }; } );";
    cr_expect_str_eq(connect_to(rules, "172.31.255.255", 1), "SO_PRIORITY=1");
    cr_expect_str_eq(connect_to(rules, "172.32.0.0", 1), "");
    cr_expect_str_eq(connect_to(rules, "2001:db8:7fff::1", 1), "SO_PRIORITY=1");
    cr_expect_str_eq(connect_to(rules, "2001:db8:8000::1", 1), "");
}

Test(match, an_ipv6_prefix_never_holds_an_ipv4_address)
{
    static const char rules[] =
        "rules = ( { match = { remote = \"::/0\"; }; set = { SO_PRIORITY = 1; }; } );";
    cr_expect_str_eq(connect_to(rules, "10.0.0.1", 1), "");
    cr_expect_str_eq(connect_to(rules, "fd00::1", 1), "SO_PRIORITY=1");
}

Test(match, later_rules_win_and_final_ends)
{
    static const char rules[] =
        "rules = ( { set = { SO_PRIORITY = 1; TCP_KEEPCNT = 1; }; },"
        "          { match = { remote = \"10.0.0.0/8\"; }; set = { SO_PRIORITY = 2; }; },"
        "          { match = { remote = \"10.1.0.0/16\"; }; set = { SO_PRIORITY = 3; }; final = "
        "true; },"
        "          { set = { TCP_KEEPCNT = 4; }; } );";
    cr_expect_str_eq(connect_to(rules, "192.0.2.1", 1), "SO_PRIORITY=1 TCP_KEEPCNT=4");
    cr_expect_str_eq(connect_to(rules, "10.2.0.1", 1), "SO_PRIORITY=2 TCP_KEEPCNT=4");
    cr_expect_str_eq(connect_to(rules, "10.1.0.1", 1), "SO_PRIORITY=3 TCP_KEEPCNT=1");
}

Test(match, facts_are_asked_for_only_where_they_matter)
{
    static const char rules[] =
        "rules = ( { match = { role = \"connect\"; remote = \"10.0.0.0/8\"; };"
        "            set = { TCP_KEEPCNT = 1; }; },"
        "          { match = { protocol = \"udp\"; }; set = { SO_PRIORITY = 2; }; } );";
    struct compiled c = compiled_from(rules);
    unsigned missing;
    struct sockinfo s = connecting("10.0.0.1", 80);
    s.known = FACT_REMOTE;
    s.roles = ROLE_CONNECT | ROLE_DATAGRAM;
    s.protocols = PROTOCOL_TCP | PROTOCOL_UDP;
    decide(&c, &s, PHASE_BIT(PHASE_CONNECT), &missing);
    cr_expect_eq(missing, FACT_ROLE | FACT_PROTOCOL);
    s.remote = address("192.0.2.1");
    decide(&c, &s, PHASE_BIT(PHASE_CONNECT), &missing);
    cr_expect_eq(missing, 0, "no rule for this address acts at connect()");
    compiled_free(&c);
}

Test(match, what_cannot_be_known_does_not_match)
{
    static const char rules[] = "rules = ( { match = { local_port = 80; };"
                                "            set = { TCP_KEEPCNT = 1; }; } );";
    struct compiled c = compiled_from(rules);
    unsigned missing;
    struct sockinfo s = connecting("10.0.0.1", 80);
    s.unavailable = 0;
    decide(&c, &s, PHASE_ALL, &missing);
    cr_expect_eq(missing, FACT_LOCAL);
    s.unavailable = FACT_LOCAL;
    cr_expect_str_eq(decide(&c, &s, PHASE_ALL, &missing), "");
    cr_expect_eq(missing, 0);
    compiled_free(&c);
}

Test(match, a_listener_on_every_address_matches_what_holds_all_of_them)
{
    static const struct {
        const char *local;
        bool matches;
    } rows[] = {{"\"0.0.0.0/0\"", true},
                {"\"10.0.0.1\"", false},
                {"\"!10.0.0.1\"", false},
                {"\"::/0\"", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char rules[256];
        snprintf(rules, sizeof rules,
                 "rules = ( { match = { role = \"listen\"; local = %s; };"
                 "            set = { SO_PRIORITY = 1; }; } );",
                 rows[i].local);
        struct compiled c = compiled_from(rules);
        struct sockinfo s;
        unsigned missing;
        sockinfo_at_listen(&s);
        s.families = FAMILY_INET;
        s.protocols = PROTOCOL_TCP;
        s.local = address("0.0.0.0");
        s.local_port = 80;
        s.known |= FACT_LOCAL;
        cr_expect_str_eq(decide(&c, &s, PHASE_ALL, &missing),
                         rows[i].matches ? "SO_PRIORITY=1" : "", "%s", rows[i].local);
        compiled_free(&c);
    }
}

Test(match, unix_sockets_only_where_they_are_named)
{
    struct compiled c = compiled_from("rules = ( { set = { SO_SNDBUF = \"1M\"; }; },"
                                      "          { match = { family = \"unix\"; };"
                                      "            set = { SO_SNDBUF = \"64K\"; }; } );");
    struct sockinfo s;
    unsigned missing;
    sockinfo_at_socket(&s, AF_UNIX, SOCK_STREAM, 0);
    cr_expect_str_eq(decide(&c, &s, PHASE_ALL, &missing), "SO_SNDBUF=64K");
    sockinfo_at_socket(&s, AF_INET, SOCK_STREAM, 0);
    cr_expect_str_eq(decide(&c, &s, PHASE_ALL, &missing), "SO_SNDBUF=1M");
    compiled_free(&c);
}

/* Guards */

static bool guard(const struct compiled *c, const struct sockinfo *s, const char *option,
                  unsigned *missing)
{
    uint32_t indices[32];
    struct active active = {indices, c->policy.rule_count};
    for (uint32_t i = 0; i < c->policy.rule_count; i++)
        indices[i] = i;
    for (uint32_t i = 0; i < c->policy.option_count; i++)
        if (strcmp(policy_string(&c->policy, c->policy.options[i].name), option) == 0) {
            struct guard answer;
            *missing = match_guard(&c->policy, &active, s, i, &answer);
            return answer.ignored || answer.held != NO_ACTION;
        }
    cr_assert_fail("no %s in the policy", option);
    return false;
}

Test(match, force_holds_until_a_later_rule_sets_the_option)
{
    struct compiled c = compiled_from(
        "rules = ( { force = { TCP_NODELAY = true; TCP_KEEPCNT = 3; }; },"
        "          { match = { remote_port = 80; }; set = { TCP_KEEPCNT = 5; }; } );");
    struct sockinfo s = connecting("10.0.0.1", 80);
    unsigned missing;
    cr_expect(guard(&c, &s, "TCP_NODELAY", &missing));
    cr_expect_not(guard(&c, &s, "TCP_KEEPCNT", &missing));
    s.remote_port = 81;
    cr_expect(guard(&c, &s, "TCP_KEEPCNT", &missing));
    compiled_free(&c);
}

Test(match, ignore_holds_where_its_rule_may_still_match_and_force_where_it_does)
{
    struct compiled c =
        compiled_from("rules = ( { match = { remote = \"10.0.0.0/8\"; };"
                      "            force = { TCP_KEEPCNT = 3; }; ignore = [\"SO_RCVBUF\"]; } );");
    struct sockinfo fresh;
    unsigned missing;
    sockinfo_at_socket(&fresh, AF_INET, SOCK_STREAM, 0);
    cr_expect(guard(&c, &fresh, "SO_RCVBUF", &missing));
    cr_expect_eq(missing, 0);
    cr_expect_not(guard(&c, &fresh, "TCP_KEEPCNT", &missing));
    struct sockinfo elsewhere = connecting("192.0.2.1", 80);
    cr_expect_not(guard(&c, &elsewhere, "SO_RCVBUF", &missing));
    fresh.unavailable = 0;
    guard(&c, &fresh, "SO_RCVBUF", &missing);
    cr_expect_eq(missing, FACT_REMOTE);
    compiled_free(&c);
}
