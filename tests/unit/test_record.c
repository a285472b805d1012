/* SPDX-License-Identifier: MIT */
/*
 * Records of real sockets, from rules and results that the test contains; and the contents of a
 * registration.
 */
#include "compat.h"
#include "compiled.h"
#include "kernel_socket.h"
#include "learn.h"
#include "record.h"
#include "register.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

static const char rules[] =
    "rules = ("
    "{ name = \"servers\"; match = { role = [\"listen\", \"accept\"]; };"
    "  set = { SO_KEEPALIVE = true; TCP_NODELAY = true; }; report = true; },"
    "{ name = \"unreported\"; set = { TCP_KEEPIDLE = 60; }; },"
    "{ name = \"clients\"; match = { role = \"connect\"; remote = \"127.0.0.0/8\"; };"
    "  set = { TCP_USER_TIMEOUT = \"5s\"; }; report = true; },"
    "{ name = \"bound\"; match = { role = \"connect\"; local = \"127.0.0.1\"; };"
    "  set = { SO_PRIORITY = 3; }; } );";

/* Three sockets of one connection, their rules, and results to be filled in. */
struct scene {
    struct compiled compiled;
    uint32_t indices[8];
    struct active active;
    uint16_t results[POLICY_OPTIONS_MAX];
    struct record_maker maker;
    struct sockaddr_in server;
    int listener, client, accepted;
};

static void open_scene(struct scene *scene)
{
    const struct identity identity = {.executable = "/bin/test",
                                      .argv = (const char *const[]){"test", NULL}};
    socklen_t length = sizeof scene->server;
    memset(scene, 0, sizeof *scene);
    scene->compiled = compiled_from(rules);
    scene->active.rules = scene->indices;
    scene->active.count = active_rules(&scene->compiled.policy, &identity, scene->indices);
    scene->maker =
        (struct record_maker){&scene->compiled.policy, &scene->active, scene->results, 2};
    scene->server.sin_family = AF_INET;
    scene->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    scene->listener = socket(AF_INET, SOCK_STREAM, 0);
    scene->client = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(scene->listener, (struct sockaddr *)&scene->server, length), 0);
    cr_assert_eq(listen(scene->listener, 1), 0);
    cr_assert_eq(getsockname(scene->listener, (struct sockaddr *)&scene->server, &length), 0);
    cr_assert_eq(connect(scene->client, (struct sockaddr *)&scene->server, length), 0);
    scene->accepted = accept(scene->listener, NULL, NULL);
    cr_assert(scene->accepted >= 0);
}

static void close_scene(struct scene *scene)
{
    close(scene->listener);
    close(scene->client);
    close(scene->accepted);
    compiled_free(&scene->compiled);
}

static void result(struct scene *scene, const char *option, unsigned error)
{
    const struct policy *policy = &scene->compiled.policy;
    for (uint32_t i = 0; i < policy->option_count; i++)
        if (strcmp(policy_string(policy, policy->options[i].name), option) == 0)
            scene->results[i] = (uint16_t)error;
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length), 0);
    return cookie;
}

static bool connecting(const struct scene *scene, struct sockinfo *sockinfo)
{
    return sockinfo_at_address(sockinfo, PHASE_CONNECT, (const struct sockaddr *)&scene->server,
                               sizeof scene->server);
}

Test(record, each_end_of_a_connection)
{
    struct scene scene;
    struct sockinfo sockinfo;
    struct record listening = {.kind = RECORD_LISTEN}, accepted = {.kind = RECORD_ACCEPT},
                  connected = {.kind = RECORD_CONNECT, .pid = 7, .time_ns = 9};
    const uint8_t loopback[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1}, none[16] = {0};
    open_scene(&scene);
    sockinfo_at_listen(&sockinfo);
    cr_assert(record_fill(&scene.maker, scene.listener, &sockinfo, NULL, &listening));
    sockinfo_at_accept(&sockinfo);
    cr_assert(record_fill(&scene.maker, scene.accepted, &sockinfo, NULL, &accepted));
    cr_assert(connecting(&scene, &sockinfo));
    cr_assert(record_fill(&scene.maker, scene.client, &sockinfo, NULL, &connected));

    cr_expect_eq(listening.cookie, cookie_of(scene.listener));
    cr_expect_eq(accepted.cookie, cookie_of(scene.accepted));
    cr_expect_eq(connected.cookie, cookie_of(scene.client));
    cr_expect_arr_eq(listening.remote, none, sizeof none);
    cr_expect_arr_eq(accepted.local, loopback, sizeof loopback);
    cr_expect_arr_eq(connected.local, loopback, sizeof loopback);
    cr_expect_eq(connected.remote_port, ntohs(scene.server.sin_port));
    cr_expect_eq(accepted.remote_port, connected.local_port);
    cr_expect_eq(listening.rule, 0);
    cr_expect_eq(accepted.rule, 0);
    cr_expect_eq(connected.rule, 1, "unreported rules are not counted");
    cr_expect_eq(connected.protocol, IPPROTO_TCP);
    cr_expect_eq(connected.pid, 7);
    cr_expect_eq(connected.time_ns, 9);
    close_scene(&scene);
}

Test(record, what_became_of_options)
{
    struct scene scene;
    struct sockinfo sockinfo;
    struct record record = {.kind = RECORD_ACCEPT};
    open_scene(&scene);
    result(&scene, "SO_KEEPALIVE", EPERM);
    result(&scene, "TCP_KEEPIDLE", RECORD_KEPT);
    result(&scene, "TCP_USER_TIMEOUT", EINVAL);
    sockinfo_at_accept(&sockinfo);
    cr_assert(record_fill(&scene.maker, scene.accepted, &sockinfo, NULL, &record));
    cr_expect_eq(record.applied, 1, "TCP_NODELAY");
    cr_assert_eq(record.named, 1);
    cr_expect_eq(record.options[0].level, IPPROTO_TCP);
    cr_expect_eq(record.options[0].optname, TCP_NODELAY);
    cr_assert_eq(record.failed, 1);
    cr_expect_eq(record.failures[0].level, SOL_SOCKET);
    cr_expect_eq(record.failures[0].optname, SO_KEEPALIVE);
    cr_expect_eq(record.failures[0].error, EPERM);
    close_scene(&scene);
}

Test(record, what_connect_decided_stands)
{
    struct scene scene;
    struct sockinfo sockinfo;
    struct decision decision;
    struct record record = {.kind = RECORD_CONNECT};
    const unsigned phases = PHASE_ALL;
    int fresh = socket(AF_INET, SOCK_STREAM, 0);
    open_scene(&scene);
    cr_assert(connecting(&scene, &sockinfo));
    learn_decision(&scene.compiled.policy, &scene.active, KERNEL_SOCKET(fresh), &sockinfo,
                   PHASE_CONNECT, phases, &decision);
    cr_assert(record_fill(&scene.maker, scene.client, &sockinfo, &decision, &record));
    cr_expect_eq(record.applied, 2, "the rule on the local address could not act before the call");
    cr_expect_neq(record.local_port, 0, "which the call gave it");
    close(fresh);
    close_scene(&scene);
}

Test(record, of_nothing_else)
{
    struct scene scene;
    struct sockinfo sockinfo;
    struct record record = {.kind = RECORD_CONNECT}, other = record;
    int datagram = socket(AF_INET, SOCK_DGRAM, 0);
    open_scene(&scene);
    cr_expect_eq(record_roles(&scene.compiled.policy, &scene.active), ROLE_STREAM);
    cr_assert(connecting(&scene, &sockinfo));
    cr_expect_not(record_fill(&scene.maker, datagram, &sockinfo, NULL, &other), "not TCP");
    cr_assert(connecting(&scene, &sockinfo));
    sockinfo.remote.bytes[12] = 10;
    cr_expect_not(record_fill(&scene.maker, scene.client, &sockinfo, NULL, &record), "no rule");
    scene.maker.rules_named = 1;
    cr_assert(connecting(&scene, &sockinfo));
    cr_assert(record_fill(&scene.maker, scene.client, &sockinfo, NULL, &record));
    cr_expect_eq(record.rule, RECORD_RULE_UNNAMED);
    close(datagram);
    close_scene(&scene);
}

Test(record, of_udp_sockets)
{
    struct sockinfo sockinfo;
    struct record record = {.kind = RECORD_CONNECT}, failed = {.flags = RECORD_REFUSED};
    struct compiled compiled = compiled_from(
        "rules = ( { name = \"x\"; match = { role = \"datagram\"; }; report = true; } );");
    const uint32_t first = 0;
    const struct active active = {&first, 1};
    const uint16_t results[POLICY_OPTIONS_MAX] = {0};
    const struct record_maker maker = {&compiled.policy, &active, results, 1};
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int datagram = socket(AF_INET, SOCK_DGRAM, 0), stream = socket(AF_INET, SOCK_STREAM, 0);
    cr_expect_eq(record_roles(&compiled.policy, &active), ROLE_DATAGRAM);
    cr_assert_eq(connect(datagram, (const struct sockaddr *)&to, sizeof to), 0);
    cr_assert(
        sockinfo_at_address(&sockinfo, PHASE_CONNECT, (const struct sockaddr *)&to, sizeof to));
    cr_assert_not(record_fill_begun(&maker, datagram, &sockinfo, &record));
    cr_assert(
        sockinfo_at_address(&sockinfo, PHASE_CONNECT, (const struct sockaddr *)&to, sizeof to));
    record.kind = RECORD_CONNECT;
    cr_assert(record_fill(&maker, datagram, &sockinfo, NULL, &record));
    cr_expect_eq(record.kind, RECORD_DATAGRAM);
    cr_expect_eq(record.protocol, IPPROTO_UDP);
    cr_expect_eq(record.cookie, cookie_of(datagram));
    cr_expect_eq(record.remote_port, 9);
    cr_expect_neq(record.local_port, 0);
    failed.kind = RECORD_DATAGRAM;
    cr_expect_not(record_fill(&maker, datagram, &sockinfo, NULL, &failed), "as it was before");
    record.kind = RECORD_DATAGRAM;
    cr_assert(sockinfo_at_address(&sockinfo, PHASE_BIND, (const struct sockaddr *)&to, sizeof to));
    cr_expect_not(record_fill(&maker, stream, &sockinfo, NULL, &record), "bind() of a stream");
    close(datagram);
    close(stream);
    compiled_free(&compiled);
}

Test(record, plan_of_a_registration)
{
    static struct register_plan plan;
    const struct helper_environment environment = {.runtime = "/run/user/7"};
    struct scene scene;
    open_scene(&scene);
    register_prepare(&plan, &environment, "a\nprogram", &scene.compiled.policy, &scene.active,
                     NULL);
    cr_expect_str_eq(plan.helpers[0].sun_path, "/run/socktune/helper.sock");
    cr_expect_str_eq(plan.helpers[1].sun_path, "/run/user/7/socktune/helper.sock");
    cr_expect_eq(plan.head.rule_count, 2);
    cr_expect_eq(plan.head.size, sizeof plan.head + plan.names_size);
    cr_expect_arr_eq(plan.names, "a?program\0servers\0clients", plan.names_size);
    close_scene(&scene);
}
