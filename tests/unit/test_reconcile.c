/* SPDX-License-Identifier: MIT */
/*
 * Reconciling an open socket with the rules: which options are set, which stay, and why. The socket
 * exists only in memory.
 */
#include "compiled.h"
#include "endpoint.h"
#include "fake_socket.h"
#include "learn.h"
#include "reconcile.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* A policy, a socket, and the result of reconciling them. */
struct scene {
    struct compiled compiled;
    struct reconciler reconciler;
    struct fake_socket fake;
    struct socket_description description;
    struct reconciled_socket result;
};

static void set_address(const char *text, struct sockaddr_storage *address, socklen_t *length)
{
    cr_assert_null(endpoint_read(text, AF_INET, address), "%s", text);
    *length = sizeof(struct sockaddr_in);
}

static struct address address_of(const struct sockaddr_storage *from, uint16_t *port)
{
    struct address address;
    cr_assert(address_read((const struct sockaddr *)from, sizeof *from, &address, port));
    return address;
}

/* A TCP socket in this state, with the result of describe_socket(). */
static void describe_fake(struct scene *scene, enum fake_state state)
{
    struct socket_description *description = &scene->description;
    struct sockinfo *sockinfo = &description->sockinfo;
    *description = (struct socket_description){.domain = AF_INET, .type = SOCK_STREAM};
    scene->fake = (struct fake_socket){.domain = AF_INET, .type = SOCK_STREAM, .state = state};
    set_address("192.0.2.1:80", &description->local, &description->local_length);
    scene->fake.local = description->local;
    if (state != FAKE_LISTENS) {
        set_address("192.0.2.9:5000", &description->remote, &description->remote_length);
        scene->fake.remote = description->remote;
    }
    struct socket_handle socket = fake_socket_handle(&scene->fake);
    cr_assert(learn_history(&socket, sockinfo));
    sockinfo->local = address_of(&description->local, &sockinfo->local_port);
    sockinfo->known |= FACT_LOCAL;
    description->listens = state == FAKE_LISTENS;
    if (state == FAKE_LISTENS) {
        sockinfo->unavailable |= FACT_REMOTE;
        return;
    }
    sockinfo->remote = address_of(&description->remote, &sockinfo->remote_port);
    sockinfo->known |= FACT_REMOTE;
}

static void open_scene(struct scene *scene, const char *rules, enum fake_state state)
{
    memset(scene, 0, sizeof *scene);
    scene->compiled = compiled_from(rules);
    cr_assert_eq(reconciler_make(&scene->reconciler, &scene->compiled.policy, false), 0);
    describe_fake(scene, state);
}

static void close_scene(struct scene *scene)
{
    reconciler_free(&scene->reconciler);
    compiled_free(&scene->compiled);
}

static void put_int(struct scene *scene, int level, int optname, int value)
{
    fake_socket_put(&scene->fake, level, optname, &value, sizeof value);
}

/* Reconcile with all rules; `defaults` may be NULL. */
static void reconcile(struct scene *scene, const struct default_value *defaults)
{
    const uint32_t rules[] = {0, 1, 2, 3};
    const struct active active = {rules, scene->compiled.policy.rule_count};
    const struct socket_handle socket = fake_socket_handle(&scene->fake);
    reconcile_socket(&socket, &scene->description, defaults, &scene->reconciler, &active,
                     &scene->result);
}

/* The result for an option, which must be present. */
static const struct reconciled_option *result_of(const struct scene *scene, const char *name)
{
    const struct policy *policy = &scene->compiled.policy;
    for (uint32_t i = 0; i < scene->result.count; i++) {
        const struct reconciled_option *option = &scene->result.options[i];
        uint32_t which = policy->actions[option->action].option;
        if (strcmp(policy_string(policy, policy->options[which].name), name) == 0)
            return option;
    }
    cr_assert_fail("no result for %s", name);
    return NULL;
}

static int int_of(const struct value *value)
{
    int number;
    cr_assert_eq(value->length, sizeof number);
    memcpy(&number, value->bytes, sizeof number);
    return number;
}

Test(reconcile, what_differs_is_set_and_the_rest_is_left)
{
    static struct scene scene;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; };"
               " set = { SO_KEEPALIVE = true; TCP_KEEPCNT = 4; TCP_NODELAY = true; }; });",
               FAKE_ACCEPTED);
    put_int(&scene, SOL_SOCKET, SO_KEEPALIVE, 0);
    put_int(&scene, IPPROTO_TCP, TCP_KEEPCNT, 4);
    put_int(&scene, IPPROTO_TCP, TCP_NODELAY, 0);
    reconcile(&scene, NULL);
    cr_expect_eq(scene.result.count, 3);
    cr_expect_eq(result_of(&scene, "SO_KEEPALIVE")->result, RECONCILE_CHANGED);
    cr_expect_eq(int_of(&result_of(&scene, "SO_KEEPALIVE")->before), 0);
    cr_expect_eq(int_of(&result_of(&scene, "SO_KEEPALIVE")->after), 1);
    cr_expect_eq(result_of(&scene, "TCP_KEEPCNT")->result, RECONCILE_SAME);
    cr_expect_eq(result_of(&scene, "TCP_NODELAY")->result, RECONCILE_CHANGED);
    /* The second time nothing is to be done. */
    reconcile(&scene, NULL);
    for (uint32_t i = 0; i < scene.result.count; i++)
        cr_expect_eq(scene.result.options[i].result, RECONCILE_SAME);
    close_scene(&scene);
}

Test(reconcile, a_dry_run_sets_nothing)
{
    static struct scene scene;
    open_scene(&scene, "rules = ({ match = { program = \"x\"; }; set = { TCP_KEEPCNT = 4; }; });",
               FAKE_ACCEPTED);
    put_int(&scene, IPPROTO_TCP, TCP_KEEPCNT, 9);
    scene.reconciler.dry_run = true;
    reconcile(&scene, NULL);
    cr_expect_eq(result_of(&scene, "TCP_KEEPCNT")->result, RECONCILE_CHANGED);
    cr_expect_eq(int_of(&result_of(&scene, "TCP_KEEPCNT")->after), 4);
    cr_expect_eq(scene.fake.options[0].value[0], 9);
    close_scene(&scene);
}

/* A `default` changes only options that have the kernel's default. */
Test(reconcile, a_default_yields_to_the_program)
{
    static struct scene scene;
    struct default_value defaults[2] = {{.length = sizeof(int)}, {.length = sizeof(int)}};
    const int initial = 9;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; }; default = { TCP_KEEPCNT = 4; }; });",
               FAKE_ACCEPTED);
    cr_assert(scene.reconciler.needs_defaults);
    memcpy(defaults[0].bytes, &initial, sizeof initial);
    put_int(&scene, IPPROTO_TCP, TCP_KEEPCNT, 7);
    reconcile(&scene, defaults);
    cr_expect_eq(result_of(&scene, "TCP_KEEPCNT")->result, RECONCILE_KEPT);
    cr_expect_eq(int_of(&result_of(&scene, "TCP_KEEPCNT")->after), 7, "the program's value");
    put_int(&scene, IPPROTO_TCP, TCP_KEEPCNT, initial);
    reconcile(&scene, defaults);
    cr_expect_eq(result_of(&scene, "TCP_KEEPCNT")->result, RECONCILE_CHANGED);
    close_scene(&scene);
}

Test(reconcile, bounds)
{
    static struct scene scene;
    static const struct {
        int has;
        enum reconcile_result result;
        int after;
    } rows[] = {{3, RECONCILE_CHANGED, 5}, {5, RECONCILE_SAME, 5}, {8, RECONCILE_SAME, 8}};
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; }; at_least = { TCP_KEEPCNT = 5; }; });",
               FAKE_ACCEPTED);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_int(&scene, IPPROTO_TCP, TCP_KEEPCNT, rows[i].has);
        reconcile(&scene, NULL);
        cr_expect_eq(result_of(&scene, "TCP_KEEPCNT")->result, rows[i].result, "%d", rows[i].has);
        cr_expect_eq(int_of(&result_of(&scene, "TCP_KEEPCNT")->after), rows[i].after, "%d",
                     rows[i].has);
    }
    close_scene(&scene);
}

/* Options of the handshake are too late for a connection, not for a listener. */
Test(reconcile, too_late_for_a_connection)
{
    static struct scene scene;
    const char *rules = "rules = ({ match = { program = \"x\"; };"
                        " set = { SO_RCVBUF = \"64K\"; backlog = 7; }; });";
    char reason[160];
    open_scene(&scene, rules, FAKE_ACCEPTED);
    put_int(&scene, SOL_SOCKET, SO_RCVBUF, 1000);
    reconcile(&scene, NULL);
    cr_expect_eq(result_of(&scene, "SO_RCVBUF")->result, RECONCILE_FAILED);
    reconciled_reason(&scene.compiled.policy, result_of(&scene, "SO_RCVBUF"), reason,
                      sizeof reason);
    cr_expect_not_null(strstr(reason, "too late"), "%s", reason);
    close_scene(&scene);
    open_scene(&scene, rules, FAKE_LISTENS);
    put_int(&scene, SOL_SOCKET, SO_RCVBUF, 1000);
    reconcile(&scene, NULL);
    cr_expect_eq(result_of(&scene, "SO_RCVBUF")->result, RECONCILE_CHANGED);
    cr_expect_eq(result_of(&scene, "backlog")->result, RECONCILE_FAILED,
                 "listen() has been called");
    close_scene(&scene);
}

Test(reconcile, rules_for_others_are_no_result)
{
    static struct scene scene;
    open_scene(&scene,
               "rules = ({ match = { program = \"x\"; role = \"connect\"; };"
               "           set = { TCP_KEEPCNT = 4; }; },"
               "         { match = { program = \"x\"; remote = \"198.51.100.0/24\"; };"
               "           set = { TCP_KEEPCNT = 4; }; });",
               FAKE_ACCEPTED);
    reconcile(&scene, NULL);
    cr_expect_eq(scene.result.count, 0);
    cr_expect_eq(scene.fake.option_count, 0);
    close_scene(&scene);
}
