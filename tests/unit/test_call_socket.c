/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor does to the socket of a notified call. The socket exists only in memory.
 */
#include "call_socket.h"
#include "compiled.h"
#include "fake_socket.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* A supervised program with all rules, its socket, and a call. */
struct scene {
    struct compiled compiled;
    uint32_t rules[4];
    struct target_program program;
    struct target target;
    struct target_context context;
    struct call_context call;
    struct default_value defaults[64]; /* unknown */
    struct fake_socket fake;
    struct socket_handle socket;
};

static void open_scene(struct scene *scene, const char *rules, enum fake_state state)
{
    memset(scene, 0, sizeof *scene);
    scene->compiled = compiled_from(rules);
    const struct policy *policy = &scene->compiled.policy;
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        scene->rules[i] = i;
        scene->program.phases |= policy->rules[i].phases;
    }
    scene->program.active = (struct active){scene->rules, policy->rule_count};
    scene->target.program = &scene->program;
    scene->context = (struct target_context){policy, scene->defaults};
    scene->call = (struct call_context){&scene->context, &scene->target, 3, "call"};
    scene->fake = (struct fake_socket){.domain = AF_INET, .type = SOCK_STREAM, .state = state};
    scene->socket = fake_socket_handle(&scene->fake);
}

static void close_scene(struct scene *scene)
{
    compiled_free(&scene->compiled);
}

/* The int to which an option was last set; -1 if it was not set. */
static int set_to(const struct scene *scene, int level, int optname)
{
    const struct fake_option *option = fake_socket_option(&scene->fake, level, optname);
    int value = -1;
    if (option != NULL)
        memcpy(&value, option->value, sizeof value);
    return value;
}

static bool set_option(struct scene *scene, int level, int optname, int value)
{
    const struct call_setting setting = {level, optname, &value, sizeof value};
    return call_set_option(&scene->call, &scene->socket, &setting);
}

/* socket() is not notified: its options are set at the first notified call. */
Test(call_socket, connect_gives_what_socket_should_have_given)
{
    static struct scene scene;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; }; set = { SO_KEEPALIVE = true; }; },"
               "         { match = { program = \"x\"; remote = \"192.0.2.0/24\"; };"
               "           set = { TCP_KEEPCNT = 4; }; });",
               FAKE_CLOSED);
    struct sockinfo near = sockinfo_connecting_to("192.0.2.1:80");
    cr_expect_eq(call_tune(&scene.call, &scene.socket, &near, PHASE_BIT(PHASE_CONNECT)), 0);
    cr_expect_eq(set_to(&scene, SOL_SOCKET, SO_KEEPALIVE), 1);
    cr_expect_eq(set_to(&scene, IPPROTO_TCP, TCP_KEEPCNT), 4);
    close_scene(&scene);
}

Test(call_socket, another_peer_is_left_alone)
{
    static struct scene scene;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; remote = \"192.0.2.0/24\"; };"
               "           set = { TCP_KEEPCNT = 4; }; });",
               FAKE_CLOSED);
    struct sockinfo far = sockinfo_connecting_to("198.51.100.1:80");
    cr_expect_eq(call_tune(&scene.call, &scene.socket, &far, PHASE_BIT(PHASE_CONNECT)), 0);
    cr_expect_eq(scene.fake.option_count, 0);
    close_scene(&scene);
}

/* The fake refuses options that the option table excludes for such a socket. */
Test(call_socket, a_required_option_fails_the_call)
{
    static struct scene scene;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; protocol = \"tcp\"; }; require = true;"
               "           set = { IPV6_TCLASS = 4; }; });",
               FAKE_CLOSED);
    struct sockinfo sockinfo = sockinfo_connecting_to("192.0.2.1:80");
    sockinfo.families = FAMILY_INET6;
    cr_expect_eq(call_tune(&scene.call, &scene.socket, &sockinfo, PHASE_BIT(PHASE_CONNECT)),
                 ENOPROTOOPT);
    close_scene(&scene);
}

Test(call_socket, backlog)
{
    static struct scene scene;
    struct sockinfo sockinfo;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; role = \"listen\"; };"
               "           at_least = { backlog = 100; }; });",
               FAKE_CLOSED);
    sockinfo_at_listen(&sockinfo);
    cr_expect_eq(call_backlog(&scene.call, &scene.socket, &sockinfo, 5), 100);
    sockinfo_at_listen(&sockinfo);
    cr_expect_eq(call_backlog(&scene.call, &scene.socket, &sockinfo, 500), 500);
    close_scene(&scene);
}

Test(call_socket, accepted_sockets_are_recognised_and_treated)
{
    static struct scene scene;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; role = \"accept\"; };"
               "           set = { SO_PRIORITY = 3; }; });",
               FAKE_LISTENS);
    cr_expect_not(call_is_accepted(&scene.socket));
    scene.fake.state = FAKE_CONNECTED;
    cr_expect_not(call_is_accepted(&scene.socket));
    scene.fake.state = FAKE_ACCEPTED;
    cr_expect(call_is_accepted(&scene.socket));
    struct sockinfo sockinfo;
    sockinfo_at_accept(&sockinfo);
    call_tune_accepted(&scene.call, &scene.socket, &sockinfo);
    cr_expect_eq(set_to(&scene, SOL_SOCKET, SO_PRIORITY), 3);
    close_scene(&scene);
}

/* Options set on the listener are not set again. */
Test(call_socket, plain_tcp_from_a_listener_of_mptcp)
{
    static struct scene scene;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; role = \"accept\"; };"
               "           set = { SO_PRIORITY = 3; TCP_USER_TIMEOUT = \"9s\";"
               "                   SO_KEEPALIVE = true; }; });",
               FAKE_ACCEPTED);
    call_tune_fallen_back(&scene.call, &scene.socket);
    cr_expect_eq(set_to(&scene, IPPROTO_TCP, TCP_USER_TIMEOUT), 9000);
    cr_expect_eq(set_to(&scene, SOL_SOCKET, SO_KEEPALIVE), -1);
    cr_expect_eq(set_to(&scene, SOL_SOCKET, SO_PRIORITY), -1);
    close_scene(&scene);
}

/* The option is not notified, and the program sets it before the first notified call. */
Test(call_socket, what_the_program_set_of_plain_tcp_stays)
{
    static const struct {
        int timeout, idle, wanted_timeout, wanted_idle;
    } cases[] = {
        {0, 60, 9000, 600}, /* as on the listener */
        {0, 0, 9000, 600},  /* the listener has refused it */
        {1234, 60, 1234, 600},
        {0, 33, 9000, 33},
    };
    static struct scene scene;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_scene(&scene,
                   "rules = ({ match = { program = \"x\"; }; set = { TCP_KEEPIDLE = \"60s\"; }; },"
                   "         { match = { program = \"x\"; protocol = \"tcp\"; };"
                   "           set = { TCP_USER_TIMEOUT = \"9s\"; TCP_KEEPIDLE = \"600s\"; }; });",
                   FAKE_ACCEPTED);
        for (size_t d = 0; d < sizeof scene.defaults / sizeof *scene.defaults; d++)
            scene.defaults[d].length = sizeof(int); /* all are 0 */
        scene.socket.ops->set(&scene.socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &cases[i].timeout,
                              sizeof cases[i].timeout);
        scene.socket.ops->set(&scene.socket, IPPROTO_TCP, TCP_KEEPIDLE, &cases[i].idle,
                              sizeof cases[i].idle);
        call_tune_fallen_back(&scene.call, &scene.socket);
        cr_expect_eq(set_to(&scene, IPPROTO_TCP, TCP_USER_TIMEOUT), cases[i].wanted_timeout);
        cr_expect_eq(set_to(&scene, IPPROTO_TCP, TCP_KEEPIDLE), cases[i].wanted_idle);
        close_scene(&scene);
    }
}

/* The program's own setsockopt() is either replaced by the rule's value or let through. */
Test(call_socket, own_settings)
{
    static struct scene scene;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; }; force = { TCP_KEEPCNT = 4; };"
               "           ignore = [ \"TCP_NODELAY\" ]; at_most = { TCP_KEEPIDLE = \"60s\"; };"
               "           set = { TCP_KEEPINTVL = \"9s\"; }; });",
               FAKE_CONNECTED);
    cr_expect(set_option(&scene, IPPROTO_TCP, TCP_KEEPCNT, 8));
    cr_expect_eq(set_to(&scene, IPPROTO_TCP, TCP_KEEPCNT), 4);
    cr_expect(set_option(&scene, IPPROTO_TCP, TCP_NODELAY, 1));
    cr_expect_eq(set_to(&scene, IPPROTO_TCP, TCP_NODELAY), -1);
    cr_expect_not(set_option(&scene, IPPROTO_TCP, TCP_KEEPIDLE, 30));
    cr_expect(set_option(&scene, IPPROTO_TCP, TCP_KEEPIDLE, 90));
    cr_expect_eq(set_to(&scene, IPPROTO_TCP, TCP_KEEPIDLE), 60);
    cr_expect_not(set_option(&scene, IPPROTO_TCP, TCP_KEEPINTVL, 1));
    cr_expect_not(set_option(&scene, SOL_SOCKET, SO_KEEPALIVE, 1), "no rule is about it");
    close_scene(&scene);
}

/* If the kernel refuses the forced value, the program's own setsockopt() is let through. */
Test(call_socket, a_refused_value_swallows_nothing)
{
    static struct scene scene;
    open_scene(&scene, "rules = ({ match = { program = \"x\"; }; force = { TCP_KEEPCNT = 4; }; });",
               FAKE_CONNECTED);
    scene.fake.domain = AF_UNIX;
    cr_expect_not(set_option(&scene, IPPROTO_TCP, TCP_KEEPCNT, 8));
    close_scene(&scene);
}

/* IP_TOS changes SO_PRIORITY, which a rule forces: the supervisor makes the call and restores
 * SO_PRIORITY. */
Test(call_socket, a_setting_that_disturbs_a_forced_option)
{
    static struct scene scene;
    open_scene(&scene, "rules = ({ match = { program = \"x\"; }; force = { SO_PRIORITY = 3; }; });",
               FAKE_CONNECTED);
    cr_expect(set_option(&scene, IPPROTO_IP, IP_TOS, 0x10));
    cr_expect_eq(set_to(&scene, IPPROTO_IP, IP_TOS), 0x10);
    cr_expect_eq(set_to(&scene, SOL_SOCKET, SO_PRIORITY), 3);
    close_scene(&scene);
}
