/* SPDX-License-Identifier: MIT */
/*
 * Which sockets of supervised programs are reported, and when, with simulated answers of the
 * kernel.
 */
#include "reported_sockets.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

enum { LISTENER = 1, CLIENT, ACCEPTED, PORT = 80, BYTES_ACKED = 120, INFO_BYTES = 232, NETNS = 7 };

static struct reported_sockets table;
static uint64_t now;
static char records[256]; /* kind and cookie of each record, in order */

static uint64_t fake_clock(void)
{
    return now;
}

static void note_record(const struct socket_entry *entry)
{
    size_t used = strlen(records);
    cr_expect_eq(entry->netns, NETNS);
    snprintf(records + used, sizeof records - used, "%s%s %u", used != 0 ? "; " : "",
             entry->kind == RECORD_LISTEN   ? "listen"
             : entry->kind == RECORD_ACCEPT ? "accept"
                                            : "connect",
             (unsigned)entry->cookie);
}

static void begin_table(void)
{
    now = 1000000000;
    table = (struct reported_sockets){.put = note_record, .clock = fake_clock};
}

static void end_table(void)
{
    now += UINT64_C(1000) * 1000000000;
    table.dumps += 2;
    reported_sockets_forget_lost(&table);
    cr_expect_null(table.sockets);
    cr_expect_eq(table.expected, 0);
}

TestSuite(reported_sockets, .init = begin_table, .fini = end_table);

static void expect_call(enum record_kind kind, uint64_t cookie)
{
    struct socket_entry entry = {.cookie = cookie, .netns = NETNS, .when = now, .kind = kind};
    if (kind == RECORD_LISTEN)
        sockinfo_at_listen(&entry.sockinfo);
    sockinfo_learn_type(&entry.sockinfo, kind == RECORD_LISTEN ? PHASE_LISTEN : PHASE_CONNECT,
                        AF_INET, SOCK_STREAM, IPPROTO_TCP);
    entry.sockinfo.local_port = PORT;
    cr_assert_not_null(reported_sockets_add(&table, &entry));
}

/* An answer about a socket on our port. */
static void answer(enum sock_diag_event event, uint64_t cookie, unsigned state, uint8_t acked)
{
    uint8_t info[INFO_BYTES] = {(uint8_t)state, [BYTES_ACKED] = acked};
    const struct sock_diag_answer answer = {
        .event = event,
        .target = {.cookie = cookie,
                   .flow = {.family = AF_INET,
                            .local_port = PORT,
                            .remote_port = state == TCP_LISTEN ? 0 : 5000}},
        .state = state,
        .owned = event == SOCK_DIAG_FOUND,
        .info = info,
        .info_length = sizeof info};
    reported_sockets_take(&table, &answer);
}

static void expect_records(const char *expected)
{
    cr_expect_str_eq(records, expected);
    records[0] = '\0';
}

Test(reported_sockets, a_connection_is_reported_when_a_dump_finds_it)
{
    expect_call(RECORD_CONNECT, CLIENT);
    cr_expect_eq(table.expected, 1);
    answer(SOCK_DIAG_FOUND, CLIENT, TCP_ESTABLISHED, 1);
    answer(SOCK_DIAG_FOUND, CLIENT, TCP_ESTABLISHED, 1);
    expect_records("connect 2");
    answer(SOCK_DIAG_DESTROYED, CLIENT, TCP_CLOSE, 1);
    expect_records("");
}

Test(reported_sockets, a_short_connection_is_reported_at_its_end)
{
    expect_call(RECORD_CONNECT, CLIENT);
    answer(SOCK_DIAG_DESTROYED, CLIENT, TCP_CLOSE, 1);
    expect_records("connect 2");
}

Test(reported_sockets, a_refused_connection_is_not_reported)
{
    expect_call(RECORD_CONNECT, CLIENT);
    answer(SOCK_DIAG_DESTROYED, CLIENT, TCP_CLOSE, 0);
    expect_records("");
    cr_expect_eq(table.expected, 0);
}

/* An accepted socket has made no notified call: its listener identifies its program. */
Test(reported_sockets, accepted_sockets_are_known_by_their_listener)
{
    answer(SOCK_DIAG_FOUND, ACCEPTED, TCP_ESTABLISHED, 1);
    expect_records("");
    expect_call(RECORD_LISTEN, LISTENER);
    answer(SOCK_DIAG_FOUND, ACCEPTED, TCP_ESTABLISHED, 1);
    expect_records("listen 1; accept 3");
    answer(SOCK_DIAG_FOUND, LISTENER, TCP_LISTEN, 0);
    expect_records("");
}

/* A program that exits closes its listener first; its accepted connections end later. */
Test(reported_sockets, a_closed_listener_is_remembered_until_the_next_dump)
{
    expect_call(RECORD_LISTEN, LISTENER);
    answer(SOCK_DIAG_DESTROYED, LISTENER, TCP_CLOSE, 0);
    answer(SOCK_DIAG_DESTROYED, ACCEPTED, TCP_CLOSE, 1);
    expect_records("accept 3");
    table.dumps++;
    reported_sockets_forget_lost(&table);
    answer(SOCK_DIAG_DESTROYED, ACCEPTED, TCP_CLOSE, 1);
    expect_records("");
}

Test(reported_sockets, nobody_has_it_open)
{
    struct sock_diag_answer queued = {
        .event = SOCK_DIAG_FOUND,
        .target = {.cookie = ACCEPTED,
                   .flow = {.family = AF_INET, .local_port = PORT, .remote_port = 5000}},
        .state = TCP_ESTABLISHED};
    expect_call(RECORD_LISTEN, LISTENER);
    reported_sockets_take(&table, &queued);
    expect_records("");
    table.finishing = true;
    reported_sockets_take(&table, &queued);
    expect_records("listen 1; accept 3");
}

Test(reported_sockets, a_second_connect_replaces_the_first)
{
    expect_call(RECORD_CONNECT, CLIENT);
    expect_call(RECORD_CONNECT, CLIENT);
    cr_expect_eq(table.expected, 1);
    answer(SOCK_DIAG_FOUND, CLIENT, TCP_SYN_SENT, 0);
    expect_records("connect 2");
}

/* A pending call is dropped after minutes, not at the next dump. */
Test(reported_sockets, a_call_that_waits_is_not_forgotten_early)
{
    expect_call(RECORD_CONNECT, CLIENT);
    table.dumps += 2;
    reported_sockets_forget_lost(&table);
    cr_expect_eq(table.expected, 1);
}
