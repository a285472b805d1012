/* SPDX-License-Identifier: MIT */
/*
 * The table of TCP_INFO: each length that a kernel may return, bit fields, and values that mean
 * "none".
 */
#include "tcp_info.h"

#include <criterion/criterion.h>
#include <linux/tcp.h>
#include <math.h>
#include <string.h>

static uint64_t number_of(const char *name, const struct tcp_info_bytes *info)
{
    const struct tcp_info_field *field = tcp_info_find(name);
    uint64_t number = UINT64_MAX;
    cr_assert_not_null(field, "%s", name);
    cr_assert_eq(tcp_info_get(field, info, &number), TCP_INFO_VALUE, "%s", name);
    return number;
}

/* Our table against the header's struct, for the fields that the header has. */
Test(tcp_info, places_are_the_headers)
{
    static const struct {
        const char *name;
        size_t offset, width;
    } places[] = {
#define PLACE(field)                                                                               \
    {#field, offsetof(struct tcp_info, tcpi_##field), sizeof(((struct tcp_info *)0)->tcpi_##field)}
        PLACE(state),
        PLACE(ca_state),
        PLACE(options),
        PLACE(rto),
        PLACE(snd_mss),
        PLACE(unacked),
        PLACE(fackets),
        PLACE(last_data_sent),
        PLACE(last_ack_recv),
        PLACE(pmtu),
        PLACE(rtt),
        PLACE(snd_ssthresh),
        PLACE(snd_cwnd),
        PLACE(reordering),
        PLACE(rcv_space),
        PLACE(total_retrans),
        PLACE(pacing_rate),
        PLACE(bytes_received),
        PLACE(segs_out),
        PLACE(min_rtt),
        PLACE(data_segs_out),
        PLACE(delivery_rate),
        PLACE(sndbuf_limited),
        PLACE(delivered_ce),
        PLACE(bytes_sent),
        PLACE(bytes_retrans),
        PLACE(dsack_dups),
        PLACE(rcv_ooopack),
    };

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const struct tcp_info_field *field = tcp_info_find(places[i].name);
        cr_assert_not_null(field, "%s", places[i].name);
        cr_expect_eq(field->offset, places[i].offset, "%s", places[i].name);
        cr_expect_eq(field->width, places[i].width, "%s", places[i].name);
    }
}

/* Fields are contiguous, without gap or overlap, except bit fields. */
Test(tcp_info, fields_fill_the_struct)
{
    size_t count, end = 0;
    const struct tcp_info_field *fields = tcp_info_table(&count);
    for (size_t i = 0; i < count; i++) {
        bool shares = i && fields[i].bits && fields[i].offset == fields[i - 1].offset;
        cr_expect(shares || fields[i].offset == end, "%s is at %u, not %zu", fields[i].name,
                  fields[i].offset, end);
        end = (size_t)fields[i].offset + fields[i].width;
    }
    cr_expect_eq(end, 280);
    cr_expect_leq(end, TCP_INFO_ROOM);
}

Test(tcp_info, what_is_not_returned_is_absent)
{
    struct tcp_info_bytes info;
    size_t count;
    const struct tcp_info_field *fields = tcp_info_table(&count);
    uint64_t number;
    memset(info.bytes, 1, sizeof info.bytes);
    for (info.length = 0; info.length <= 300; info.length++)
        for (size_t i = 0; i < count; i++) {
            bool whole = (size_t)fields[i].offset + fields[i].width <= info.length;
            cr_expect_eq(tcp_info_get(&fields[i], &info, &number),
                         whole ? TCP_INFO_VALUE : TCP_INFO_ABSENT, "%s of %zu bytes",
                         fields[i].name, info.length);
        }
}

Test(tcp_info, bit_fields)
{
    struct tcp_info header = {
        .tcpi_snd_wscale = 7, .tcpi_rcv_wscale = 10, .tcpi_delivery_rate_app_limited = 1};
    struct tcp_info_bytes info = {.length = sizeof header};
    memcpy(info.bytes, &header, sizeof header);
    cr_expect_eq(number_of("snd_wscale", &info), 7);
    cr_expect_eq(number_of("rcv_wscale", &info), 10);
    cr_expect_eq(number_of("app_limited", &info), 1);
    cr_expect_eq(number_of("fastopen_fail", &info), 0);
}

Test(tcp_info, values_that_stand_for_none)
{
    struct tcp_info header = {.tcpi_min_rtt = UINT32_MAX,
                              .tcpi_max_pacing_rate = UINT64_MAX,
                              .tcpi_pacing_rate = UINT64_MAX - 1,
                              .tcpi_snd_ssthresh = 0x7fffffff,
                              .tcpi_rtt = UINT32_MAX,
                              .tcpi_rttvar = 250000};
    struct tcp_info_bytes info = {.length = sizeof header};
    uint64_t number = 5;
    memcpy(info.bytes, &header, sizeof header);
    cr_expect_eq(tcp_info_get(tcp_info_find("min_rtt"), &info, &number), TCP_INFO_UNSET);
    cr_expect_eq(tcp_info_get(tcp_info_find("max_pacing_rate"), &info, &number), TCP_INFO_UNSET);
    cr_expect_eq(tcp_info_get(tcp_info_find("snd_ssthresh"), &info, &number), TCP_INFO_UNSET);
    cr_expect_eq(number, 5);
    cr_expect_eq(number_of("pacing_rate", &info), UINT64_MAX - 1);
    cr_expect_eq(number_of("rtt", &info), UINT32_MAX);
    cr_expect_eq(number_of("rttvar", &info), 250000);
}

/* The kernel starts with a variation of 250 ms, which is meaningless before the first sample. */
Test(tcp_info, no_variation_without_a_round_trip)
{
    struct tcp_info header = {.tcpi_rttvar = 250000};
    struct tcp_info_bytes info = {.length = sizeof header};
    uint64_t number;
    memcpy(info.bytes, &header, sizeof header);
    cr_expect_eq(tcp_info_get(tcp_info_find("rtt"), &info, &number), TCP_INFO_UNSET);
    cr_expect_eq(tcp_info_get(tcp_info_find("rttvar"), &info, &number), TCP_INFO_UNSET);
    cr_expect(isnan(tcp_info_number(&info, TCP_INFO_rtt)));
}

Test(tcp_info, sums_are_the_rows_with_a_metric)
{
    size_t count, sums = 0;
    const struct tcp_info_field *fields = tcp_info_table(&count);
    for (size_t i = 0; i < count; i++)
        sums += fields[i].metric != NULL;
    cr_expect_eq(sums, SUM_COUNT);
    for (unsigned i = 0; i < SUM_COUNT; i++)
        cr_expect_not_null(tcp_info_sum((enum tcp_info_sum)i)->metric);
    cr_expect_str_eq(tcp_info_sum(SUM_bytes_sent)->name, "bytes_sent");
    cr_expect_str_eq(tcp_info_sum(SUM_bytes_sent)->metric, "sent_bytes");
}

Test(tcp_info, bulk_is_what_fills_its_segments)
{
    cr_expect(tcp_info_is_bulk(1448e3, 1000, 1448));
    cr_expect(tcp_info_is_bulk(724e3, 1000, 1448));
    cr_expect(!tcp_info_is_bulk(4880, 40, 65483), "small requests");
    cr_expect(!tcp_info_is_bulk(1448 * 9, 9, 1448), "too few segments to tell");
    cr_expect(!tcp_info_is_bulk(0, 0, 1448));
    cr_expect(!tcp_info_is_bulk(NAN, 1000, 1448) && !tcp_info_is_bulk(1448e3, NAN, 1448) &&
              !tcp_info_is_bulk(1448e3, 1000, NAN));
}

Test(tcp_info, no_other_socket_has_it)
{
    struct tcp_info_bytes info;
    cr_expect_eq(tcp_info_read(-1, &info), -1);
    cr_expect_eq(info.length, 0);
    cr_expect_null(tcp_info_find("no_such_field"));
}

Test(tcp_info, states)
{
    cr_expect_str_eq(tcp_state_name(1), "established");
    cr_expect_str_eq(tcp_state_name(10), "listen");
    cr_expect_str_eq(tcp_state_name(0), "unknown");
    cr_expect_str_eq(tcp_state_name(99), "unknown");
}
