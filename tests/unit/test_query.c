/* SPDX-License-Identifier: MIT */
/*
 * The parameters of /v1/connections, and its answers' objects.
 */
#include "answer_json.h"
#include "clock.h"
#include "query_filter.h"
#include "tracked.h"
#include "utf8.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

Test(query, parameters)
{
    struct query_filter filter = {0};
    cr_assert_null(query_filter_set(&filter, "program", "ngin*"));
    cr_assert_null(query_filter_set(&filter, "rule", "clients"));
    cr_assert_null(query_filter_set(&filter, "state", "fin-wait-1"));
    cr_assert_null(query_filter_set(&filter, "role", "accept"));
    cr_assert_null(query_filter_set(&filter, "closed", "1"));
    cr_assert_null(query_filter_set(&filter, "uid", "1000"));
    cr_assert_null(query_filter_set(&filter, "limit", "50"));
    cr_assert_null(query_filter_set(&filter, "after", "18446744073709551615"));
    cr_expect_str_eq(filter.connections.program, "ngin*");
    cr_expect_str_eq(filter.connections.rule, "clients");
    cr_expect_str_eq(filter.connections.state, "fin-wait-1");
    cr_expect_eq(filter.connections.roles, ROLE_ACCEPT);
    cr_expect(filter.closed && filter.connections.one_user);
    cr_expect_eq(filter.connections.uid, 1000);
    cr_expect_eq(filter.limit, 50);
    cr_expect_eq(filter.after, UINT64_MAX);
}

Test(query, bad_parameters)
{
    static const char *const bad[][2] = {
        {"programme", "x"}, {"state", "estab"},
        {"role", "dgram"},  {"role", ""},
        {"closed", "yes"},  {"closed", "2"},
        {"uid", "-1"},      {"uid", "4294967295"},
        {"limit", "0"},     {"limit", "1e3"},
        {"limit", NULL},    {"after", "18446744073709551616"},
        {"after", " 1"},    {"after", "99999999999999999999999"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct query_filter filter = {0};
        cr_expect_not_null(query_filter_set(&filter, bad[i][0], bad[i][1]), "%s=%s", bad[i][0],
                           bad[i][1] ? bad[i][1] : "");
    }
}

Test(query, reasons_are_of_closed_connections)
{
    struct query_filter filter = {0};
    cr_assert_null(query_filter_check(&filter));
    cr_assert_null(query_filter_set(&filter, "reason", "fin"));
    cr_expect_not_null(query_filter_check(&filter));
    cr_assert_null(query_filter_set(&filter, "closed", "1"));
    cr_expect_null(query_filter_check(&filter));
}

static const char *text_at(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static json_int_t number_at(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    cr_assert(json_is_integer(number), "%s", name);
    return json_integer_value(number);
}

/* The answer for the connection, parsed. */
static json_t *answered(const struct connection *connection)
{
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    json_t *json;
    cr_assert(to && answer_connection(connection, to) == 0);
    fclose(to);
    json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    cr_assert_not_null(json, "%s", text);
    free(text);
    return json;
}

Test(query, connection)
{
    struct connections *all = connections_new(1);
    struct connection_start start = tracked_start("web", "out", 99);
    struct connection *connection;
    const json_t *info;
    json_t *json;
    start.options.applied = 2;
    start.options.failure_count = 1;
    start.options.failures[0] = (struct option_failure){"SO_MARK", EPERM};
    connection = tracked(all, &start);
    tracked_sample(all, connection, "rtt", 1234, "snd_ssthresh", 0x7fffffff, "bytes_sent", 5,
                   (char *)NULL);
    json = answered(connection);
    cr_assert_not_null(json);
    cr_expect_str_eq(text_at(json, "id"), "1-99");
    cr_expect_str_eq(text_at(json, "program"), "web");
    cr_expect_str_eq(text_at(json, "role"), "connect");
    cr_expect_str_eq(text_at(json, "family"), "inet");
    cr_expect_str_eq(text_at(json, "protocol"), "tcp");
    cr_expect_str_eq(text_at(json, "state"), "established");
    cr_expect_str_eq(text_at(json, "data"), "sample");
    cr_expect_str_eq(text_at(json, "congestion"), "cubic");
    cr_expect_str_eq(text_at(json_object_get(json, "remote"), "address"), "10.0.0.1");
    cr_expect_eq(number_at(json_object_get(json, "remote"), "port"), 443);
    cr_expect_float_eq(json_real_value(json_object_get(json, "opened")),
                       (double)clock_to_real(1000 * SECOND) / 1e9, 1e-5);
    cr_expect_null(json_object_get(json, "closed"));
    cr_expect_eq(number_at(json_object_get(json, "options"), "applied"), 2);
    cr_expect_str_eq(
        text_at(json_object_get(json_object_get(json, "options"), "failed"), "SO_MARK"), "EPERM");
    info = json_object_get(json, "tcp_info");
    cr_expect_eq(number_at(info, "rtt"), 1234);
    cr_expect(json_is_null(json_object_get(info, "snd_ssthresh")));
    json_decref(json);
    connections_free(all);
}

/* A kernel with a shorter struct: fields that it does not return are absent. */
Test(query, absent_fields_are_absent)
{
    static const uint8_t bytes[104] = {[0] = 1, [68] = 7};
    struct connections *all = connections_new(1);
    struct connection_start start = tracked_start("web", "out", 99);
    struct connection *connection = tracked(all, &start);
    json_t *json;
    const json_t *info;
    connections_sample(
        all, connection,
        &(struct connection_reading){.when = 1, .state = 1, .info = bytes, .info_length = 104});
    json = answered(connection);
    info = json_object_get(json, "tcp_info");
    cr_expect_eq(number_at(info, "rtt"), 7);
    cr_expect_null(json_object_get(info, "bytes_sent"));
    json_decref(json);
    connections_free(all);
}

Test(query, v4_mapped_and_listeners)
{
    struct connections *all = connections_new(1);
    struct connection_start start = tracked_start("web\xff", "in", 5);
    json_t *json;
    start.flow.family = AF_INET6;
    start.role = ROLE_LISTEN;
    json = answered(tracked(all, &start));
    cr_assert_not_null(json);
    cr_expect_str_eq(text_at(json, "program"), "web\\xff");
    cr_expect_str_eq(text_at(json_object_get(json, "local"), "address"), "::ffff:127.0.0.1");
    cr_expect_null(json_object_get(json, "remote"));
    cr_expect_eq(number_at(json_object_get(json, "accept_queue"), "length"), 0);
    cr_expect(json_is_null(json_object_get(json, "state")));
    cr_expect_str_eq(text_at(json, "data"), "none");
    json_decref(json);
    connections_free(all);
}

Test(utf8, characters)
{
    cr_expect_eq(utf8_length("a"), 1);
    cr_expect_eq(utf8_length("\xc3\xa9"), 2);
    cr_expect_eq(utf8_length("\xe2\x82\xac"), 3);
    cr_expect_eq(utf8_length("\xf0\x9f\x98\x80"), 4);
    cr_expect_eq(utf8_length("\xc0\xaf"), 0, "overlong");
    cr_expect_eq(utf8_length("\xe0\x80\x80"), 0, "overlong");
    cr_expect_eq(utf8_length("\xed\xa0\x80"), 0, "surrogate");
    cr_expect_eq(utf8_length("\xf4\x90\x80\x80"), 0, "above U+10FFFF");
    cr_expect_eq(utf8_length("\xe2\x82"), 0, "cut short");
    cr_expect_eq(utf8_length("\x80"), 0);
}

static void expect_escaped(const char *text, const char *expected)
{
    char *escaped = utf8_escaped(text);
    cr_assert_not_null(escaped);
    cr_expect_str_eq(escaped, expected);
    free(escaped);
}

Test(utf8, names_are_shown_without_what_cannot_be_seen)
{
    expect_escaped("", "");
    expect_escaped("nginx", "nginx");
    expect_escaped("caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80");
    expect_escaped("a\xff"
                   "b\xfe",
                   "a\\xffb\\xfe");
    expect_escaped("\x1b[2J\n\x7f", "\\x1b[2J\\x0a\\x7f");
    /* NOLINTNEXTLINE(misc-misleading-bidirectional): the bytes to be escaped */
    expect_escaped("a\xe2\x80\xae"
                   "b",
                   "a\\xe2\\x80\\xaeb"); /* U+202E */
    expect_escaped("\xc2\x9b", "\\xc2\\x9b");
    expect_escaped("C:\\dir", "C:\\dir");
}

/* A name that looks like an escaped name differs from that name. */
Test(utf8, different_names_stay_different)
{
    expect_escaped("a\\xff", "a\\x5cxff");
    expect_escaped("a\\\\xff", "a\\\\x5cxff");
}

/* A message may have a name in it that has been escaped before. */
Test(utf8, messages_are_escaped_once)
{
    static const char *const texts[][2] = {
        {"a\\x1b", "a\\x1b"}, {"caf\xc3\xa9", "caf\xc3\xa9"}, {"a\nb", "a\\x0ab"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *printable = utf8_printable(texts[i][0]);
        cr_assert_not_null(printable);
        cr_expect_str_eq(printable, texts[i][1]);
        free(printable);
    }
}
