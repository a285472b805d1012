/* SPDX-License-Identifier: MIT */
/* The compiler: in which phases each kind of option is set, and what the policy contains. */
#include "compile.h"
#include "compiled.h"
#include "fixture.h"
#include "policy_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SOCKET = PHASE_BIT(PHASE_SOCKET),
    BIND = PHASE_BIT(PHASE_BIND),
    CONNECT = PHASE_BIT(PHASE_CONNECT),
    CONNECTED = PHASE_BIT(PHASE_CONNECTED),
    LISTEN = PHASE_BIT(PHASE_LISTEN),
    LISTENING = PHASE_BIT(PHASE_LISTENING),
    ACCEPT = PHASE_BIT(PHASE_ACCEPT),
    WILDCARD = PHASE_BIT(PHASE_ACCEPT_WILDCARD)
};

/* Phases of one option */

/* Classes of options in the table. */
enum class {
    PLAIN,      /* SO_KEEPALIVE: any time, inherited */
    OWN,        /* SO_PRIORITY: any time, not inherited */
    UNWANTED,   /* SO_RCVTIMEO: any time, inherited, but not for listeners */
    BINDING,    /* SO_REUSEADDR: before bind(), nothing for accepted sockets */
    BOUND,      /* SO_BINDTODEVICE: before bind(), inherited */
    HANDSHAKE,  /* SO_RCVBUF: before the handshake, inherited */
    LISTENER,   /* TCP_DEFER_ACCEPT */
    CONNECTING, /* TCP_FASTOPEN_CONNECT */
    AFTER,      /* TCP_QUICKACK */
    DATAGRAMS,  /* SO_BROADCAST */
    CLASSES
};

static const struct option classes[CLASSES] = {
    [PLAIN] = {.when = WHEN_ANY, .inherit = INHERIT_YES, .roles = ROLE_ALL},
    [OWN] = {.when = WHEN_ANY, .inherit = INHERIT_NO, .roles = ROLE_ALL},
    [UNWANTED] = {.when = WHEN_ANY, .inherit = INHERIT_UNWANTED, .roles = ROLE_ALL},
    [BINDING] = {.when = WHEN_BIND, .inherit = INHERIT_NONE, .roles = ROLE_ALL & ~ROLE_ACCEPT},
    [BOUND] = {.when = WHEN_BIND, .inherit = INHERIT_YES, .roles = ROLE_ALL},
    [HANDSHAKE] = {.when = WHEN_HANDSHAKE, .inherit = INHERIT_YES, .roles = ROLE_ALL},
    [LISTENER] = {.when = WHEN_LISTENER, .inherit = INHERIT_NONE, .roles = ROLE_LISTEN},
    [CONNECTING] = {.when = WHEN_CONNECT, .inherit = INHERIT_NONE, .roles = ROLE_CONNECT},
    [AFTER] = {.when = WHEN_AFTER, .inherit = INHERIT_YES, .roles = ROLE_STREAM},
    [DATAGRAMS] = {.when = WHEN_ANY, .inherit = INHERIT_NONE, .roles = ROLE_DATAGRAM},
};

/* One row for each set of roles and criteria; the columns are the classes above. */
static const struct {
    const char *what;
    unsigned roles;
    unsigned criteria;
    unsigned phases[CLASSES];
} phases[] = {
    {"all",
     ROLE_ALL,
     0,
     {SOCKET, SOCKET | ACCEPT, SOCKET | CONNECT | ACCEPT, SOCKET, SOCKET, SOCKET, LISTEN, CONNECT,
      CONNECTED | LISTENING, SOCKET}},
    {"all streams",
     ROLE_STREAM,
     0,
     {SOCKET, SOCKET | ACCEPT, CONNECT | ACCEPT, SOCKET, SOCKET, SOCKET, LISTEN, CONNECT,
      CONNECTED | LISTENING, 0}},
    {"datagram",
     ROLE_DATAGRAM,
     0,
     {SOCKET, SOCKET, SOCKET, SOCKET, SOCKET, SOCKET, 0, 0, 0, SOCKET}},
    {"datagram, local",
     ROLE_DATAGRAM,
     CRITERIA_LOCAL_PORT,
     {BIND, BIND, BIND, BIND, BIND, BIND, 0, 0, 0, BIND}},
    {"datagram, remote",
     ROLE_DATAGRAM,
     CRITERIA_REMOTE,
     {CONNECT, CONNECT, CONNECT, CONNECT, CONNECT, CONNECT, 0, 0, 0, CONNECT}},
    {"datagram, both",
     ROLE_DATAGRAM,
     CRITERIA_REMOTE | CRITERIA_LOCAL_ADDRESS,
     {CONNECT, CONNECT, CONNECT, CONNECT, CONNECT, CONNECT, 0, 0, 0, CONNECT}},
    {"connect",
     ROLE_CONNECT,
     CRITERIA_ROLE,
     {CONNECT, CONNECT, CONNECT, BIND | CONNECT, BIND | CONNECT, CONNECT, 0, CONNECT, CONNECTED,
      0}},
    {"connect, local",
     ROLE_CONNECT,
     CRITERIA_ROLE | CRITERIA_LOCAL_ADDRESS,
     {CONNECT, CONNECT, CONNECT, BIND | CONNECT, BIND | CONNECT, CONNECT, 0, CONNECT, CONNECTED,
      0}},
    {"connect, remote",
     ROLE_CONNECT,
     CRITERIA_ROLE | CRITERIA_REMOTE,
     {CONNECT, CONNECT, CONNECT, CONNECT, CONNECT, CONNECT, 0, CONNECT, CONNECTED, 0}},
    {"listen",
     ROLE_LISTEN,
     CRITERIA_ROLE,
     {LISTEN, LISTEN, LISTEN, BIND, BIND, LISTEN, LISTEN, 0, LISTENING, 0}},
    {"listen, local",
     ROLE_LISTEN,
     CRITERIA_ROLE | CRITERIA_LOCAL_ADDRESS | CRITERIA_LOCAL_PORT,
     {LISTEN, LISTEN, LISTEN, BIND, BIND, LISTEN, LISTEN, 0, LISTENING, 0}},
    {"accept",
     ROLE_ACCEPT,
     CRITERIA_ROLE,
     {LISTEN, ACCEPT, ACCEPT, 0, BIND, LISTEN, 0, 0, LISTENING, 0}},
    {"accept, port",
     ROLE_ACCEPT,
     CRITERIA_ROLE | CRITERIA_LOCAL_PORT,
     {LISTEN, ACCEPT, ACCEPT, 0, BIND, LISTEN, 0, 0, LISTENING, 0}},
    {"accept, local",
     ROLE_ACCEPT,
     CRITERIA_ROLE | CRITERIA_LOCAL_ADDRESS,
     {LISTEN | WILDCARD, ACCEPT, ACCEPT, 0, BIND, LISTEN, 0, 0, LISTENING | WILDCARD, 0}},
    {"accept, remote",
     ROLE_ACCEPT,
     CRITERIA_ROLE | CRITERIA_REMOTE,
     {ACCEPT, ACCEPT, ACCEPT, 0, 0, 0, 0, 0, ACCEPT, 0}},
    {"connect and accept",
     ROLE_CONNECT | ROLE_ACCEPT,
     CRITERIA_ROLE,
     {CONNECT | LISTEN, CONNECT | ACCEPT, CONNECT | ACCEPT, BIND | CONNECT, BIND | CONNECT,
      CONNECT | LISTEN, 0, CONNECT, CONNECTED | LISTENING, 0}},
    {"connect and datagram",
     ROLE_CONNECT | ROLE_DATAGRAM,
     CRITERIA_ROLE,
     {CONNECT | SOCKET, CONNECT | SOCKET, CONNECT | SOCKET, BIND | CONNECT | SOCKET,
      BIND | CONNECT | SOCKET, CONNECT | SOCKET, 0, CONNECT, CONNECTED, SOCKET}},
    {"all, port",
     ROLE_ALL,
     CRITERIA_LOCAL_PORT,
     {BIND | CONNECT | LISTEN, BIND | CONNECT | LISTEN | ACCEPT, BIND | CONNECT | ACCEPT,
      BIND | CONNECT, BIND | CONNECT, BIND | CONNECT | LISTEN, LISTEN, CONNECT,
      CONNECTED | LISTENING, BIND}},
    {"all but listen, remote",
     ROLE_ALL & ~ROLE_LISTEN,
     CRITERIA_REMOTE,
     {CONNECT | ACCEPT, CONNECT | ACCEPT, CONNECT | ACCEPT, CONNECT, CONNECT, CONNECT, 0, CONNECT,
      CONNECTED | ACCEPT, CONNECT}},
    /* After a final rule on the remote address, which never matches a listener. */
    {"all, inherited remote",
     ROLE_ALL,
     CRITERIA_REMOTE,
     {CONNECT | LISTEN | ACCEPT, CONNECT | LISTEN | ACCEPT, CONNECT | ACCEPT, BIND | CONNECT,
      BIND | CONNECT, CONNECT | LISTEN, LISTEN, CONNECT, CONNECTED | LISTENING | ACCEPT, CONNECT}},
};

Test(compile, phases_of_each_class)
{
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++)
        for (size_t c = 0; c < CLASSES; c++)
            cr_expect_eq(option_phases(&classes[c], phases[i].roles, phases[i].criteria),
                         phases[i].phases[c], "%s, class %zu: 0x%x instead of 0x%x", phases[i].what,
                         c, option_phases(&classes[c], phases[i].roles, phases[i].criteria),
                         phases[i].phases[c]);
}

/* These hold for each option of the table, whatever the roles and criteria. */
Test(compile, phases_keep_the_kernels_order)
{
    size_t count;
    const struct option *table = option_table(&count);
    for (size_t i = 0; i < count; i++) {
        for (unsigned roles = 1; roles <= ROLE_ALL; roles++) {
            for (unsigned criteria = 0; criteria < 16; criteria++) {
                unsigned when = option_phases(&table[i], roles, criteria);
                if ((roles & table[i].roles) == 0)
                    cr_expect_eq(when, 0);
                if (table[i].when == WHEN_BIND || table[i].when == WHEN_HANDSHAKE)
                    cr_expect_eq(when & (ACCEPT | WILDCARD | CONNECTED | LISTENING), 0, "%s",
                                 table[i].name);
                if (table[i].when == WHEN_AFTER)
                    cr_expect_eq(when & (SOCKET | BIND | CONNECT | LISTEN), 0, "%s", table[i].name);
                if (criteria != 0 && (roles & ROLE_DATAGRAM) == 0)
                    cr_expect_eq(when & SOCKET, 0, "%s", table[i].name);
            }
        }
    }
}

/* Policies */

static const struct policy_action *action_of(const struct compiled *compiled, size_t rule,
                                             const char *name)
{
    const struct policy *policy = &compiled->policy;
    for (uint32_t a = 0; a < policy->rules[rule].actions.count; a++) {
        const struct policy_action *action =
            &policy->actions[policy->rules[rule].actions.first + a];
        if (strcmp(policy_string(policy, policy->options[action->option].name), name) == 0)
            return action;
    }
    cr_assert_fail("rule %zu has no action for %s", rule, name);
    return NULL;
}

static int32_t int_value(const struct compiled *compiled, const struct policy_action *action)
{
    int32_t value;
    cr_assert_eq(action->length, sizeof value);
    memcpy(&value, policy_string(&compiled->policy, action->value), sizeof value);
    return value;
}

Test(compile, nothing)
{
    struct compiled compiled = compiled_from("");
    cr_assert_eq(compiled.policy.rule_count, 0);
    cr_assert_eq(compiled.policy.option_count, 0);
    compiled_free(&compiled);
}

Test(compile, options_in_the_tables_order)
{
    static const char *const order[] = {"SO_REUSEADDR", "IP_TOS",       "SO_PRIORITY", "SO_RCVBUF",
                                        "SO_KEEPALIVE", "TCP_QUICKACK", "6:9998",      "6:9999"};
    struct compiled compiled = compiled_from(
        "rules = ( { set = { TCP_QUICKACK = true; SO_RCVBUF = 1000;\n"
        " raw = ( { level = 6; option = 9999; value = 1; }, { level = 6; option = 9998; value = 1; "
        "} "
        ");\n"
        " SO_PRIORITY = 1; }; }, { set = { SO_KEEPALIVE = true; IP_TOS = 8; SO_REUSEADDR = true; "
        "TCP_QUICKACK = false; }; } );");
    cr_assert_eq(compiled.policy.option_count, 8);
    for (size_t i = 0; i < 8; i++)
        cr_expect_str_eq(policy_string(&compiled.policy, compiled.policy.options[i].name),
                         order[i]);
    cr_expect_eq(compiled.policy.options[0].flags, OPTION_EARLY);
    cr_expect_eq(compiled.policy.options[2].flags, 0);
    cr_expect_eq(compiled.policy.options[3].flags, OPTION_EARLY | OPTION_INHERITED);
    compiled_free(&compiled);
}

Test(compile, dscp_keeps_ecn)
{
    struct compiled compiled = compiled_from("rules = ( { force = { dscp = \"ef\"; }; } );");
    const struct policy_action *tos = action_of(&compiled, 0, "IP_TOS");
    const struct policy_action *tclass = action_of(&compiled, 0, "IPV6_TCLASS");
    cr_assert_eq(tos->op, OP_MERGE);
    cr_assert_eq(tos->mask, 0xfc);
    cr_assert_eq(tos->families, FAMILY_IP);
    cr_assert_eq(tclass->families, FAMILY_INET6);
    cr_assert_eq(tclass->mode, MODE_FORCE);
    cr_assert_eq(int_value(&compiled, tos), 46 << 2);
    cr_assert_eq(int_value(&compiled, tclass), 46 << 2);
    cr_assert_str_eq(policy_string(&compiled.policy, tos->text), "ef");
    compiled_free(&compiled);
}

Test(compile, transport_and_source)
{
    struct compiled compiled =
        compiled_from("rules = ( { set = { transport = \"mptcp\"; source = \"10.0.0.1\"; }; } );");
    const struct policy_action *transport = action_of(&compiled, 0, "transport");
    const struct policy_action *source = action_of(&compiled, 0, "source");
    static const uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    cr_assert_eq(transport->op, OP_TRANSPORT);
    cr_assert_eq(transport->phases, SOCKET);
    cr_assert_eq(int_value(&compiled, transport), 262);
    cr_assert_eq(compiled.policy.options[transport->option].level, LEVEL_SOCKTUNE);
    cr_assert_eq(source->op, OP_SOURCE);
    cr_assert_eq(source->phases, CONNECT);
    cr_assert_eq(source->length, 16);
    cr_assert_arr_eq(policy_string(&compiled.policy, source->value), address, 16);
    compiled_free(&compiled);
}

Test(compile, ignored_options_have_no_phase)
{
    struct compiled compiled =
        compiled_from("rules = ( { ignore = ( \"SO_RCVBUF\", { level = 6; option = 77; } ); } );");
    cr_assert_eq(compiled.policy.rules[0].phases, 0);
    cr_assert_eq(action_of(&compiled, 0, "SO_RCVBUF")->mode, MODE_IGNORE);
    cr_assert_eq(action_of(&compiled, 0, "SO_RCVBUF")->length, 0);
    cr_assert_eq(action_of(&compiled, 0, "6:77")->phases, 0);
    compiled_free(&compiled);
}

/* An option without a row may be inherited or not: it is set early, and again on accepted
 * sockets. */
Test(compile, raw_options)
{
    struct compiled compiled = compiled_from(
        "rules = ( { set = { raw = ( { level = 6; option = 999; value = [ 1, 2 ]; },\n"
        "{ level = 6; option = 1; value = 1; } ); }; },\n"
        "{ match = { role = \"accept\"; }; set = { raw = ( { level = 6; option = 999; value = 1; } "
        "); }; } );");
    cr_assert_eq(action_of(&compiled, 0, "6:999")->phases, SOCKET | ACCEPT);
    cr_assert_eq(action_of(&compiled, 0, "6:999")->length, 2);
    cr_assert_eq(action_of(&compiled, 1, "6:999")->phases, ACCEPT);
    /* A number that has a row means that option. */
    cr_assert_eq(action_of(&compiled, 0, "TCP_NODELAY")->phases, SOCKET);
    compiled_free(&compiled);
}

/* Programs may use either number of SO_RCVTIMEO; a raw option keeps its own number, because its
 * value has that layout. */
Test(compile, raw_option_with_a_second_number)
{
    struct compiled compiled = compiled_from("rules = ( { set = { raw = ( { level = 1; option = "
                                             "20; value = \"0123456789abcdef\"; } ); }; },"
                                             "{ set = { SO_RCVTIMEO = \"1s\"; }; } );");
    cr_assert_eq(compiled.policy.option_count, 2);
    cr_assert_eq(compiled.policy.options[action_of(&compiled, 0, "1:20")->option].optname, 20);
    cr_assert_eq(compiled.policy.options[action_of(&compiled, 1, "SO_RCVTIMEO")->option].optname,
                 66);
    compiled_free(&compiled);
}

Test(compile, criteria)
{
    struct compiled compiled = compiled_from(
        "program = [ \"nginx\", \"/usr/bin/x*\" ]; command = \"!*y*\"; user = 7;\n"
        "rules = ( { name = \"one\"; match = { role = \"accept\"; protocol = \"tcp\"; family = "
        "\"inet\"; remote = [ \"10.0.0.0/8\", \"!10.1.0.0/16\" ]; local_port = \"80-90\"; };\n"
        "  final = true; report = true; set = { TCP_NODELAY = true; }; } );");
    const struct policy *policy = &compiled.policy;
    const struct policy_rule *rule = &policy->rules[0];
    cr_assert_eq(rule->matchers.count, 4);
    cr_assert_eq(policy->matchers[rule->matchers.first].kind, MATCHER_PROGRAM);
    cr_assert_eq(policy->matchers[rule->matchers.first + 1].kind, MATCHER_PATH);
    cr_assert_eq(policy->matchers[rule->matchers.first + 2].kind, MATCHER_COMMAND);
    cr_assert_eq(policy->matchers[rule->matchers.first + 2].negate, 1);
    cr_assert_eq(policy->matchers[rule->matchers.first + 3].kind, MATCHER_USER);
    cr_assert_eq(policy->matchers[rule->matchers.first + 3].id, 7);
    cr_assert_eq(rule->flags, RULE_FINAL | RULE_REPORT);
    cr_assert(rule->roles == ROLE_ACCEPT && rule->protocols == PROTOCOL_TCP &&
              rule->families == FAMILY_INET);
    cr_assert(rule->remote.count == 2 && rule->local.count == 0 && rule->local_port.count == 1);
    cr_assert_eq(policy->prefixes[rule->remote.first + 1].negate, 1);
    cr_assert_eq(policy->ports[rule->local_port.first].high, 90);
    cr_assert_str_eq(policy_string(policy, rule->name), "one");
    cr_assert_eq(rule->line, 2);
    cr_assert_eq(action_of(&compiled, 0, "TCP_NODELAY")->line, 3);
    compiled_free(&compiled);
}

Test(compile, equal_parts_are_kept_once)
{
    const char *one = "{ match = { remote = \"10.0.0.0/8\"; local_port = 80; };"
                      "  set = { SO_KEEPALIVE = true; }; }";
    char text[4096] = "program = \"nginx\"; rules = ( ";
    struct compiled single, many;
    snprintf(text, sizeof text, "program = \"nginx\"; rules = ( %s );", one);
    single = compiled_from(text);
    snprintf(text, sizeof text, "program = \"nginx\"; rules = ( %s, %s, %s );", one, one, one);
    many = compiled_from(text);
    /* Only the rules, their actions and their names "#2" and "#3" are added. */
    cr_assert_leq(many.policy.size - single.policy.size,
                  2 * (sizeof(struct policy_rule) + sizeof(struct policy_action)) + 8);
    cr_assert_eq(many.policy.rules[0].matchers.first, many.policy.rules[2].matchers.first);
    cr_assert_eq(many.policy.rules[0].remote.first, many.policy.rules[2].remote.first);
    compiled_free(&single);
    compiled_free(&many);
}

/* Rules among others */

Test(compile, behind_a_final_rule)
{
    struct compiled compiled =
        compiled_from("rules = ( { set = { SO_KEEPALIVE = true; }; },\n"
                      "{ match = { protocol = \"tcp\"; role = \"connect\"; }; final = true; },\n"
                      "{ set = { SO_KEEPALIVE = false; }; },\n"
                      "{ match = { role = \"datagram\"; }; set = { SO_MARK = 1; }; },\n"
                      "{ match = { remote = \"10.0.0.0/8\"; }; final = true; },\n"
                      "{ set = { TCP_CORK = true; SO_RCVBUF = 1000; }; } );");
    cr_expect_eq(action_of(&compiled, 0, "SO_KEEPALIVE")->phases, SOCKET);
    cr_expect_eq(action_of(&compiled, 2, "SO_KEEPALIVE")->phases, CONNECT | LISTEN);
    /* A rule for connecting sockets does not apply to datagram sockets. */
    cr_expect_eq(action_of(&compiled, 3, "SO_MARK")->phases, SOCKET);
    cr_expect_eq(action_of(&compiled, 5, "TCP_CORK")->phases, CONNECT | LISTEN | ACCEPT);
    cr_expect_eq(action_of(&compiled, 5, "SO_RCVBUF")->phases, CONNECT | LISTEN);
    compiled_free(&compiled);
}

Test(compile, listeners_and_accepted_sockets_at_odds)
{
    struct compiled compiled =
        compiled_from("rules = ( { match = { role = \"listen\"; }; set = { SO_KEEPALIVE = false; "
                      "SO_RCVBUF = 1; }; },\n"
                      "{ match = { role = \"accept\"; }; set = { SO_KEEPALIVE = true; SO_RCVBUF = "
                      "2; TCP_NODELAY = "
                      "true; }; },\n"
                      "{ set = { SO_KEEPALIVE = true; }; },\n"
                      "{ match = { role = \"connect\"; }; set = { SO_KEEPALIVE = true; }; } );");
    cr_expect_eq(action_of(&compiled, 0, "SO_KEEPALIVE")->phases, LISTEN);
    cr_expect_eq(action_of(&compiled, 1, "SO_KEEPALIVE")->phases, LISTEN | ACCEPT);
    cr_expect_eq(action_of(&compiled, 1, "TCP_NODELAY")->phases, LISTEN);
    /* Never at accept(). */
    cr_expect_eq(action_of(&compiled, 1, "SO_RCVBUF")->phases, LISTEN);
    cr_expect_eq(action_of(&compiled, 2, "SO_KEEPALIVE")->phases, SOCKET | ACCEPT);
    cr_expect_eq(action_of(&compiled, 3, "SO_KEEPALIVE")->phases, CONNECT);
    compiled_free(&compiled);
}

Test(compile, protocols_settle_roles)
{
    struct compiled compiled = compiled_from(
        "rules = ( { match = { protocol = \"udp\"; role = [ \"datagram\", \"connect\" ]; };\n"
        "  set = { SO_MARK = 1; }; },\n"
        "{ match = { protocol = \"tcp\"; role = [ \"connect\", \"listen\", \"accept\" ]; };\n"
        "  set = { SO_MARK = 1; }; },\n"
        "{ match = { role = \"accept\"; protocol = \"udp\"; }; set = { SO_MARK = 1; }; } );");
    cr_expect_eq(action_of(&compiled, 0, "SO_MARK")->phases, SOCKET);
    cr_expect_eq(action_of(&compiled, 1, "SO_MARK")->phases, SOCKET);
    cr_expect_eq(action_of(&compiled, 2, "SO_MARK")->phases, 0);
    compiled_free(&compiled);
}

/* At bind() the role of a stream socket is unknown: an option set then on datagram sockets must not
 * reach listeners through a rule for connecting sockets. */
Test(compile, streams_and_datagrams_apart)
{
    struct compiled compiled = compiled_from(
        "rules = ( { match = { role = [ \"connect\", \"datagram\" ]; local_port = 53; };\n"
        "set = { SO_MARK = 1; TCP_NODELAY = true; SO_BROADCAST = true; }; },\n"
        "{ match = { role = [ \"connect\", \"accept\" ]; }; set = { SO_MARK = 1; }; },\n"
        "{ set = { SO_MARK = 1; }; } );");
    const struct policy *policy = &compiled.policy;
    const struct policy_action *actions = &policy->actions[policy->rules[0].actions.first];
    cr_assert_eq(policy->rules[0].actions.count, 4);
    cr_expect_eq(actions[0].protocols & PROTOCOL_CONNECTED, 0);
    cr_expect_eq(actions[0].phases, BIND);
    cr_expect_eq(actions[1].protocols & PROTOCOL_DATAGRAM, 0);
    cr_expect_eq(actions[1].phases, CONNECT);
    cr_expect_eq(actions[1].option, actions[0].option);
    cr_expect_eq(action_of(&compiled, 0, "TCP_NODELAY")->phases, CONNECT);
    cr_expect_eq(action_of(&compiled, 0, "SO_BROADCAST")->phases, BIND);
    cr_expect_eq(policy->rules[1].actions.count, 1);
    cr_expect_eq(policy->rules[2].actions.count, 1);
    compiled_free(&compiled);
}

/* Limits and files */

Test(compile, too_many_options)
{
    struct transcript found;
    struct diagnostics diagnostics = transcript_start(&found);
    char *text = malloc((size_t)300 * 80);
    size_t used = (size_t)sprintf(text, "rules = ( { set = { raw = (\n");
    struct ruleset *ruleset;
    void *blob;
    size_t size;
    for (int i = 0; i < 257; i++)
        used += (size_t)sprintf(text + used, "%s{ level = 200; option = %d; value = 1; }",
                                i == 0 ? "" : ",\n", i);
    strcpy(text + used, " ); }; } );");
    ruleset = ruleset_read_text(text, "text", &diagnostics);
    cr_assert_str_empty(found.text);
    cr_assert_eq(policy_compile(ruleset, &diagnostics, &blob, &size), -1);
    cr_assert_str_eq(found.text,
                     "text:258: error: too many different options: at most 256 in one policy\n");
    ruleset_free(ruleset);
    free(text);
}

static void compile_files(const char *pattern, size_t least)
{
    glob_t files;
    cr_assert_eq(glob(pattern, 0, NULL, &files), 0);
    cr_assert_geq(files.gl_pathc, least);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct transcript found;
        struct diagnostics diagnostics = transcript_start(&found);
        struct ruleset *ruleset = ruleset_read(files.gl_pathv[i], &diagnostics);
        struct policy policy;
        void *blob, *again;
        size_t size, size_again;
        const char *wrong;
        cr_assert_str_empty(found.text);
        cr_assert_eq(policy_compile(ruleset, &diagnostics, &blob, &size), 0);
        cr_assert_eq(policy_compile(ruleset, &diagnostics, &again, &size_again), 0);
        wrong = policy_open(&policy, blob, size);
        cr_expect_null(wrong, "%s: %s", files.gl_pathv[i], wrong);
        cr_expect_eq(policy.rule_count, ruleset->rule_count);
        cr_expect_eq(policy.source_count, ruleset->source_count);
        cr_expect(size == size_again && memcmp(blob, again, size) == 0, "%s: not repeatable",
                  files.gl_pathv[i]);
        free(blob);
        free(again);
        ruleset_free(ruleset);
    }
    globfree(&files);
}

Test(compile, good_files)
{
    compile_files(FIXTURES "/good/*.conf", 9);
    compile_files(FIXTURES "/warn/*.conf", 30);
}

Test(compile, examples)
{
    compile_files(EXAMPLES "/*.conf", 6);
}

/* No example causes unexpected warnings. */
Test(compile, examples_are_sound)
{
    static const struct check_context machine = {
        .sysctl_root = FIXTURES "/sysctl-tuned", .kernel = "6.18.0", .other_host = true};
    glob_t files;
    cr_assert_eq(glob(EXAMPLES "/*.conf", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct transcript found;
        struct diagnostics diagnostics = transcript_start(&found);
        struct ruleset *ruleset = ruleset_read(files.gl_pathv[i], &diagnostics);
        ruleset_check(ruleset, &machine, &diagnostics);
        cr_expect_str_empty(found.text);
        ruleset_free(ruleset);
    }
    globfree(&files);
}

Test(compile, policies_are_written_whole, .init = enter_scratch, .fini = leave_scratch)
{
    struct compiled compiled = compiled_from("rules = ( { set = { TCP_NODELAY = true; }; } );");
    struct stat status;
    glob_t files;
    cr_assert_eq(write_file("x.policy", compiled.blob, compiled.size), 0);
    cr_assert_eq(write_file("x.policy", compiled.blob, compiled.size), 0);
    cr_assert_eq(stat("x.policy", &status), 0);
    cr_assert_eq(status.st_size, (off_t)compiled.size);
    cr_assert_eq(status.st_mode & 07777, 0644);
    /* After a failure no file remains. */
    cr_assert_eq(mkdir("y.policy", 0700), 0);
    cr_assert_eq(write_file("y.policy", compiled.blob, compiled.size), -1);
    cr_assert_eq(write_file("no/such/x.policy", compiled.blob, compiled.size), -1);
    cr_assert_eq(errno, ENOENT);
    cr_assert_eq(glob("*", 0, NULL, &files), 0);
    cr_assert_eq(files.gl_pathc, 2);
    globfree(&files);
    compiled_free(&compiled);
}

/* The only action of an option for sockets of this family and protocol; the test fails if there is
 * none or more than one. */
static const struct policy_action *action_for(const struct compiled *c, const char *option,
                                              unsigned family, unsigned protocol)
{
    const struct policy_action *found = NULL;
    for (uint32_t i = 0; i < c->policy.action_count; i++) {
        const struct policy_action *action = &c->policy.actions[i];
        const struct policy_option *of = &c->policy.options[action->option];
        if (strcmp(policy_string(&c->policy, of->name), option) != 0 ||
            !(action->families & family) || !(action->protocols & protocol))
            continue;
        cr_assert_null(found, "two actions for one socket");
        found = action;
    }
    cr_assert_not_null(found);
    return found;
}

/* SO_RCVTIMEO on a listener would make accept() fail. */
Test(compile, a_listener_is_spared_what_alters_its_own_calls)
{
    struct compiled c = compiled_from("rules = ( { set = { SO_RCVTIMEO = \"5s\"; }; } );");
    cr_expect_eq(action_for(&c, "SO_RCVTIMEO", FAMILY_INET, PROTOCOL_TCP)->phases,
                 CONNECT | ACCEPT);
    cr_expect_eq(action_for(&c, "SO_RCVTIMEO", FAMILY_INET6, PROTOCOL_UDP)->phases, SOCKET);
    compiled_free(&c);
}

Test(compile, unix_sockets_inherit_nothing_and_are_never_late)
{
    struct compiled c =
        compiled_from("rules = ( { match = { family = [\"inet\", \"unix\"]; role = \"accept\"; };"
                      "            set = { SO_SNDBUF = \"1M\"; }; } );");
    cr_expect_eq(action_for(&c, "SO_SNDBUF", FAMILY_INET, PROTOCOL_TCP)->phases, LISTEN);
    cr_expect_eq(action_for(&c, "SO_SNDBUF", FAMILY_UNIX, PROTOCOL_UNIX_STREAM)->phases, ACCEPT);
    compiled_free(&c);
}

Test(compile, ways_of_handing_over)
{
    struct compiled compiled =
        compiled_from("rules = ( { report = true; handoff = \"socket\"; }, { report = true; "
                      "handoff = \"auto\"; },"
                      "          { report = true; handoff = \"ring\"; }, { report = true; } );");
    const struct policy_rule *rules = compiled.policy.rules;
    cr_assert_eq(rules[0].flags, RULE_REPORT | RULE_HANDOFF_SOCKET);
    cr_assert_eq(rules[1].flags, RULE_REPORT | RULE_HANDOFF_AUTO);
    cr_assert_eq(rules[2].flags, RULE_REPORT);
    cr_assert_eq(rules[3].flags, RULE_REPORT);
    compiled_free(&compiled);
}

/* /proc/self/exe is a symbolic link on every machine. */
Test(compile, a_path_that_is_a_link_stands_for_its_file_too)
{
    struct compiled c = compiled_from("rules = ( { match = { program = [ \"/proc/self/exe\", "
                                      "\"!/proc/self/exe\", \"/proc/self/ex?\", \"/no/such\" ]; };"
                                      "            set = { IP_TTL = 9; }; } );");
    char file[PATH_MAX];
    const char *const wanted[] = {"/proc/self/exe", file,      "/proc/self/exe", file,
                                  "/proc/self/ex?", "/no/such"};
    cr_assert_not_null(realpath("/proc/self/exe", file));
    cr_assert_eq(c.policy.matcher_count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        const struct policy_matcher *matcher = &c.policy.matchers[i];
        cr_expect_eq(matcher->kind, MATCHER_PATH);
        cr_expect_eq(matcher->negate, i == 2 || i == 3);
        cr_expect_str_eq(policy_string(&c.policy, matcher->pattern), wanted[i]);
    }
    compiled_free(&c);
}

/* Accepted risks concern only the checker. */
Test(compile, accepted_risks_do_not_reach_the_policy)
{
    struct compiled without = compiled_from("rules = ( { set = { IP_TTL = 1; }; } );");
    struct compiled with =
        compiled_from("rules = ( { set = { IP_TTL = 1; }; accept_risk = [ \"IP_TTL\" ]; } );");
    cr_assert_eq(with.size, without.size);
    cr_assert_eq(memcmp(with.blob, without.blob, with.size), 0);
    compiled_free(&with);
    compiled_free(&without);
}
