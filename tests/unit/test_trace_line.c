/* SPDX-License-Identifier: MIT */
/*
 * The lines of SOCKTUNE_TRACE.
 */
#include "compiled.h"
#include "trace_line.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct trace_program nginx = {.name = "nginx", .pid = 42};

static struct sockinfo connection(const char *remote)
{
    struct sockinfo sockinfo = {.remote_port = 443, .known = FACT_REMOTE};
    cr_assert_eq(inet_pton(AF_INET6, remote, sockinfo.remote.bytes), 1, "%s", remote);
    return sockinfo;
}

Test(trace_line, an_action_with_its_rule_and_result)
{
    struct compiled c = compiled_from("rules = ( { name = \"first\"; },\n"
                                      "  { name = \"clients\";\n"
                                      "    set = { TCP_KEEPIDLE = \"60s\"; }; } );");
    struct trace_program program = nginx;
    struct sockinfo sockinfo = connection("::ffff:10.0.0.1");
    struct trace_socket socket = {trace_call_name(PHASE_CONNECT), 5, &sockinfo};
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    program.policy = &c.policy;
    trace_line_action(&line, &program, &socket, &c.policy.actions[0], APPLIED_FAILED, EPERM);
    trace_line_end(&line);
    cr_expect_str_eq(bytes, "socktune[42] nginx: connect fd 5 -> 10.0.0.1:443: "
                            "TCP_KEEPIDLE = 60s (rule clients, test.conf:3): "
                            "failed: EPERM, not permitted\n");
    compiled_free(&c);
}

Test(trace_line, addresses_are_written_as_inet_ntop_writes_them)
{
    static const char *const addresses[] = {
        "::1",           "::",     "2001:db8::1",     "2001:db8:0:1:1:1:1:1",
        "2001:0:0:1::1", "fe80::", "1:2:3:4:5:6:7:8", "1::4:5:6:0:8"};
    struct compiled c = compiled_from("rules = ( { ignore = [ \"SO_RCVBUF\" ]; } );");
    struct trace_program program = nginx;
    program.policy = &c.policy;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct sockinfo sockinfo = connection(addresses[i]);
        struct trace_socket socket = {"setsockopt", 3, &sockinfo};
        char bytes[TRACE_LINE_BYTES], host[INET6_ADDRSTRLEN], expected[TRACE_LINE_BYTES];
        struct text line = TEXT(bytes);
        inet_ntop(AF_INET6, sockinfo.remote.bytes, host, sizeof host);
        snprintf(expected, sizeof expected,
                 "socktune[42] nginx: setsockopt fd 3 -> [%s]:443: SO_RCVBUF: the program's own "
                 "setting is ignored",
                 host);
        trace_line_swallowed(&line, &program, &socket, 0, NO_ACTION);
        cr_expect_str_eq(bytes, expected);
    }
    compiled_free(&c);
}

Test(trace_line, what_does_not_fit_is_cut_off_and_still_ends_with_a_newline)
{
    char bytes[24];
    struct text line = TEXT(bytes);
    trace_line_begin(&line, &(struct trace_program){.name = "a-program-with-a-long-name"});
    trace_line_end(&line);
    cr_expect_eq(strlen(bytes), sizeof bytes - 1);
    cr_expect_eq(bytes[sizeof bytes - 2], '\n');
}
