/* SPDX-License-Identifier: MIT */
/*
 * Simulated calls on sockets: the options of each call; what is inherited, replaced, or yielded.
 */
#include "compile.h"
#include "endpoint.h"
#include "simulate.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPALIVE "{ name = \"keep\"; set = { SO_KEEPALIVE = true; }; }"

/* The outcome as text: "CALL OPTION=VALUE" in order, "+" before inherited options, then " | OPTION"
 * for each option that the program cannot set. */
static const struct example {
    const char *what;
    const char *rules;
    enum socket_history history;
    int type;
    const char *local;
    const char *remote;
    const char *outcome;
} examples[] = {
    {"nothing asks for more than the program: at socket()", KEEPALIVE, HISTORY_SOCKET, SOCK_STREAM,
     NULL, NULL, "socket SO_KEEPALIVE=true"},
    {"which a connecting socket keeps", KEEPALIVE, HISTORY_CONNECT, SOCK_STREAM, NULL,
     "192.0.2.1:80", "socket SO_KEEPALIVE=true"},
    {"and an accepted one inherits", KEEPALIVE, HISTORY_ACCEPT, SOCK_STREAM, "192.0.2.1:80",
     "192.0.2.2:5000", "+socket SO_KEEPALIVE=true"},
    {"a role is known at its call",
     "{ match = { role = \"connect\"; }; set = { TCP_NODELAY = true; }; }", HISTORY_SOCKET,
     SOCK_STREAM, NULL, NULL, ""},
    {"before connect()", "{ match = { role = \"connect\"; }; set = { TCP_NODELAY = true; }; }",
     HISTORY_CONNECT, SOCK_STREAM, NULL, "192.0.2.1:80", "connect TCP_NODELAY=true"},
    {"rules on accepted sockets act on the listener",
     "{ match = { role = \"accept\"; }; set = { TCP_NODELAY = true; }; }", HISTORY_LISTEN,
     SOCK_STREAM, "192.0.2.1:80", NULL, "listen TCP_NODELAY=true"},
    {"and from there on the accepted socket",
     "{ match = { role = \"accept\"; }; set = { TCP_NODELAY = true; }; }", HISTORY_ACCEPT,
     SOCK_STREAM, "192.0.2.1:80", "192.0.2.2:5000", "+listen TCP_NODELAY=true"},
    {"but what is not inherited is set on each",
     "{ match = { role = \"accept\"; }; set = { SO_PRIORITY = 6; }; }", HISTORY_ACCEPT, SOCK_STREAM,
     "192.0.2.1:80", "192.0.2.2:5000", "accept SO_PRIORITY=6"},
    {"and what a listener alone has is not the accepted socket's",
     "{ match = { role = \"listen\"; }; set = { TCP_DEFER_ACCEPT = \"5s\"; }; }", HISTORY_ACCEPT,
     SOCK_STREAM, "192.0.2.1:80", "192.0.2.2:5000", ""},
    {"a peer is known at accept()",
     "{ match = { role = \"accept\"; remote = \"192.0.2.0/24\"; }; set = { TCP_NODELAY = true; }; "
     "}",
     HISTORY_ACCEPT, SOCK_STREAM, "192.0.2.1:80", "192.0.2.2:5000", "accept TCP_NODELAY=true"},
    {"and may be another",
     "{ match = { role = \"accept\"; remote = \"!192.0.2.0/24\"; };"
     "  set = { TCP_NODELAY = true; }; }",
     HISTORY_ACCEPT, SOCK_STREAM, "192.0.2.1:80", "192.0.2.2:5000", ""},
    {"a listener's port is known, ",
     "{ match = { role = \"accept\"; local_port = 80; }; set = { TCP_NODELAY = true; }; }",
     HISTORY_ACCEPT, SOCK_STREAM, "192.0.2.1:80", "192.0.2.2:5000", "+listen TCP_NODELAY=true"},
    {"but which of its addresses is meant is not, before accept()",
     "{ match = { role = \"accept\"; local = \"192.0.2.1\"; }; set = { TCP_NODELAY = true; }; }",
     HISTORY_ACCEPT, SOCK_STREAM, "192.0.2.1:80", "192.0.2.2:5000", "accept TCP_NODELAY=true"},
    {"unless it has one",
     "{ match = { role = \"listen\"; local = \"192.0.2.1\"; }; set = { TCP_NODELAY = true; }; }",
     HISTORY_LISTEN, SOCK_STREAM, "192.0.2.1:80", NULL, "listen TCP_NODELAY=true"},
    {"the later rule wins, the earlier is not shown",
     KEEPALIVE ", { set = { SO_KEEPALIVE = false; }; }", HISTORY_SOCKET, SOCK_STREAM, NULL, NULL,
     "socket SO_KEEPALIVE=false"},
    {"also across calls",
     KEEPALIVE ", { match = { role = \"connect\"; }; set = { SO_KEEPALIVE = false; }; }",
     HISTORY_CONNECT, SOCK_STREAM, NULL, "192.0.2.1:80", "connect SO_KEEPALIVE=false"},
    {"unless the earlier is final",
     "{ final = true; set = { SO_KEEPALIVE = true; }; }, { set = { SO_KEEPALIVE = false; }; }",
     HISTORY_SOCKET, SOCK_STREAM, NULL, NULL, "socket SO_KEEPALIVE=true"},
    {"the kernel's order, not the writer's",
     "{ match = { role = \"connect\"; }; set = { SO_PRIORITY = 3; IP_TOS = \"lowdelay\"; }; }",
     HISTORY_CONNECT, SOCK_STREAM, NULL, "192.0.2.1:80",
     "connect IP_TOS=lowdelay; connect SO_PRIORITY=3"},
    {"force holds against the program",
     "{ match = { role = \"connect\"; }; force = { TCP_KEEPIDLE = \"60s\"; }; }", HISTORY_CONNECT,
     SOCK_STREAM, NULL, "192.0.2.1:80", "connect TCP_KEEPIDLE=60s | TCP_KEEPIDLE"},
    {"ignore gives nothing",
     "{ match = { remote = \"192.0.2.0/24\"; role = \"connect\"; }; ignore = [ \"SO_RCVBUF\" ]; }",
     HISTORY_CONNECT, SOCK_STREAM, NULL, "192.0.2.1:80", " | SO_RCVBUF"},
    {"and only there",
     "{ match = { remote = \"192.0.2.0/24\"; role = \"connect\"; }; ignore = [ \"SO_RCVBUF\" ]; }",
     HISTORY_CONNECT, SOCK_STREAM, NULL, "198.51.100.1:80", ""},
    {"a default gives way to a value set since socket()",
     "{ match = { role = \"accept\"; }; set = { TCP_NODELAY = true; }; },"
     "{ match = { role = \"accept\"; remote = \"192.0.2.2\"; }; default = { TCP_NODELAY = false; "
     "}; }",
     HISTORY_ACCEPT, SOCK_STREAM, "192.0.2.1:80", "192.0.2.2:5000", "+listen TCP_NODELAY=true"},
    {"but not to the start that a rule itself gave it",
     KEEPALIVE ", { match = { role = \"connect\"; }; default = { SO_KEEPALIVE = false; }; }",
     HISTORY_CONNECT, SOCK_STREAM, NULL, "192.0.2.1:80", "connect SO_KEEPALIVE=false"},
    {"another family's option is not given", "{ set = { IPV6_UNICAST_HOPS = 3; IP_TTL = 3; }; }",
     HISTORY_SOCKET, SOCK_STREAM, NULL, NULL, "socket IP_TTL=3"},
    {"nor another protocol's", "{ set = { TCP_NODELAY = true; IP_TTL = 3; }; }", HISTORY_SOCKET,
     SOCK_DGRAM, NULL, NULL, "socket IP_TTL=3"},
    {"a bound datagram socket",
     "{ match = { role = \"datagram\"; local_port = 53; }; set = { IP_TTL = 3; }; }",
     HISTORY_LISTEN, SOCK_DGRAM, ":53", NULL, "bind IP_TTL=3"},
    {"a source goes with a peer of its kind", "{ set = { source = \"192.0.2.9\"; }; }",
     HISTORY_CONNECT, SOCK_STREAM, NULL, "192.0.2.1:80", "connect source=192.0.2.9"},
    {"and with no other", "{ set = { source = \"2001:db8::9\"; }; }", HISTORY_CONNECT, SOCK_STREAM,
     NULL, "192.0.2.1:80", ""},
};

static const char *const calls[] = {
    [PHASE_SOCKET] = "socket",   [PHASE_BIND] = "bind",
    [PHASE_CONNECT] = "connect", [PHASE_CONNECTED] = "connected",
    [PHASE_LISTEN] = "listen",   [PHASE_LISTENING] = "listening",
    [PHASE_ACCEPT] = "accept",   [PHASE_ACCEPT_WILDCARD] = "accept",
};

static void read_end(const char *text, struct sockaddr_storage *to)
{
    if (text != NULL)
        cr_assert_null(endpoint_read(text, AF_INET, to), "%s", text);
}

static void render(const struct policy *policy, const struct outcome *outcome, FILE *to)
{
    for (uint32_t i = 0; i < outcome->effect_count; i++) {
        const struct effect *effect = &outcome->effects[i];
        const struct policy_action *action = &policy->actions[effect->action];
        fprintf(to, "%s%s%s %s=%s", i ? "; " : "", effect->inherited ? "+" : "",
                calls[effect->phase], policy_string(policy, policy->options[action->option].name),
                policy_string(policy, action->text));
    }
    for (uint32_t i = 0; i < outcome->guard_count; i++)
        fprintf(to, " | %s",
                policy_string(policy, policy->options[outcome->guards[i].option].name));
}

/* Compile a list of rules; returns the policy's blob. */
static void *compile(const char *rules, struct policy *policy)
{
    struct diagnostics diagnostics = {.report = NULL};
    struct ruleset *ruleset;
    char *text;
    void *blob;
    size_t size;
    cr_assert_geq(asprintf(&text, "rules = ( %s );", rules), 0);
    ruleset = ruleset_read_text(text, "test", &diagnostics);
    cr_assert_eq(diagnostics.errors, 0, "%s", text);
    cr_assert_eq(policy_compile(ruleset, &diagnostics, &blob, &size), 0, "%s", text);
    cr_assert_null(policy_open(policy, blob, size));
    ruleset_free(ruleset);
    free(text);
    return blob;
}

/* The outcome for a program's socket, as text that the caller frees. */
static char *simulated(const struct policy *policy, const struct scenario *scenario)
{
    static struct outcome outcome;
    const char *const argv[] = {"program", NULL};
    const struct identity identity = {.executable = "/bin/program", .argv = argv, .uid = 0};
    uint32_t *rules = calloc(policy->rule_count, sizeof *rules);
    struct active active = {rules, active_rules(policy, &identity, rules)};
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    simulate_socket(policy, &active, scenario, &outcome);
    render(policy, &outcome, stream);
    fclose(stream);
    free(rules);
    return text;
}

Test(simulate, histories)
{
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        const struct example *example = &examples[i];
        struct scenario scenario = {
            .history = example->history, .domain = AF_INET, .type = example->type};
        struct policy policy;
        void *blob = compile(example->rules, &policy);
        char *text;
        read_end(example->local, &scenario.local);
        read_end(example->remote, &scenario.remote);
        text = simulated(&policy, &scenario);
        cr_expect_str_eq(text, example->outcome, "%s:\n  is     %s\n  not    %s", example->what,
                         text, example->outcome);
        free(text);
        free(blob);
    }
}

Test(simulate, transport_changes_the_protocol)
{
    struct scenario scenario = {.history = HISTORY_CONNECT, .domain = AF_INET, .type = SOCK_STREAM};
    struct policy policy;
    void *blob = compile("{ set = { transport = \"mptcp\"; }; },"
                         "{ match = { protocol = \"mptcp\"; role = \"connect\"; };"
                         "  set = { SO_KEEPALIVE = true; }; },"
                         "{ match = { protocol = \"tcp\"; role = \"connect\"; };"
                         "  set = { TCP_NODELAY = true; }; }",
                         &policy);
    char *text;
    read_end("192.0.2.1:80", &scenario.remote);
    text = simulated(&policy, &scenario);
    cr_expect_str_eq(text, "socket transport=mptcp; connect SO_KEEPALIVE=true", "%s", text);
    free(text);
    free(blob);
}

/* The other options of the rule wait until the role is known. */
Test(simulate, transport_by_role)
{
    static const struct {
        enum socket_history history;
        const char *text;
    } rows[] = {{HISTORY_CONNECT, "socket transport=mptcp; connect SO_KEEPALIVE=true"},
                {HISTORY_LISTEN, "socket transport=mptcp"}};
    struct scenario scenario = {.domain = AF_INET, .type = SOCK_STREAM};
    struct policy policy;
    void *blob = compile("{ match = { role = \"connect\"; };"
                         "  set = { transport = \"mptcp\"; SO_KEEPALIVE = true; }; }",
                         &policy);

    read_end("192.0.2.1:80", &scenario.remote);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text;
        scenario.history = rows[i].history;
        text = simulated(&policy, &scenario);
        cr_expect_str_eq(text, rows[i].text, "%s", text);
        free(text);
    }
    free(blob);
}

Test(simulate, v4_mapped_peer_of_a_dual_stack_listener)
{
    struct scenario scenario = {.history = HISTORY_ACCEPT, .domain = AF_INET6, .type = SOCK_STREAM};
    struct policy policy;
    void *blob = compile("{ match = { role = \"accept\"; remote = \"192.0.2.0/24\"; };"
                         "  set = { TCP_NODELAY = true; }; },"
                         "{ match = { role = \"accept\"; remote = \"::/0\"; };"
                         "  set = { TCP_NODELAY = false; }; }",
                         &policy);
    char *text;
    cr_assert_null(endpoint_read("192.0.2.1:80", AF_INET6, &scenario.local));
    cr_assert_null(endpoint_read("192.0.2.2:5000", AF_INET6, &scenario.remote));
    text = simulated(&policy, &scenario);
    cr_expect_str_eq(text, "accept TCP_NODELAY=true", "%s", text);
    free(text);
    free(blob);
}

Test(simulate, other_families_are_left_alone)
{
    struct scenario scenario = {.history = HISTORY_SOCKET, .domain = AF_NETLINK, .type = SOCK_RAW};
    struct policy policy;
    void *blob = compile("{ match = { family = [\"inet\", \"inet6\", \"unix\"]; };"
                         "  set = { SO_SNDBUF = \"1M\"; }; force = { SO_RCVBUF = \"1M\"; }; }",
                         &policy);
    char *text = simulated(&policy, &scenario);
    cr_expect_str_eq(text, "", "%s", text);
    free(text);
    free(blob);
}
