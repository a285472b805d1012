/* SPDX-License-Identifier: MIT */
/*
 * Close reasons from the figures that Linux 6.18 reported for each kind of end (test_close_reason.c
 * of tests/platform produces them again).
 */
#include "close_reason.h"

#include <criterion/criterion.h>
#include <string.h>

struct figures {
    uint64_t bytes_acked, bytes_sent, bytes_retrans;
    uint32_t segs_in;
    uint8_t retransmits, probes;
};

static void put(struct tcp_info_bytes *info, const char *name, const void *value)
{
    const struct tcp_info_field *field = tcp_info_find(name);
    cr_assert_not_null(field);
    memcpy(info->bytes + field->offset, value, field->width);
}

static struct tcp_info_bytes info_of(const struct figures *figures)
{
    struct tcp_info_bytes info = {.length = 280};
    put(&info, "bytes_acked", &figures->bytes_acked);
    put(&info, "bytes_sent", &figures->bytes_sent);
    put(&info, "bytes_retrans", &figures->bytes_retrans);
    put(&info, "segs_in", &figures->segs_in);
    put(&info, "retransmits", &figures->retransmits);
    put(&info, "probes", &figures->probes);
    return info;
}

/* clang-format off */
static const struct {
    const char *how;
    bool connected;
    struct figures last; /* acked, sent, again, segments, repeats, probes */
    uint32_t unacknowledged;
    enum close_reason close_reason;
} cases[] = {
    {"closed first, all acknowledged", true, {102, 100, 0, 4, 0, 0}, 0, CLOSE_FIN},
    {"closed second", false, {51, 50, 0, 6, 0, 0}, 0, CLOSE_FIN},
    {"closed, some sent twice", false, {51, 70, 20, 6, 0, 0}, 0, CLOSE_FIN},
    {"closed, never used", false, {1, 0, 0, 3, 0, 0}, 0, CLOSE_FIN},
    {"reset while idle", true, {1, 0, 0, 2, 0, 0}, 0, CLOSE_RESET},
    {"reset while idle, accepted", false, {0, 0, 0, 3, 0, 0}, 0, CLOSE_RESET},
    {"reset with data under way", true, {1, 10, 0, 3, 0, 0}, 10, CLOSE_RESET},
    {"reset with data and the FIN under way", true, {1, 10, 0, 3, 0, 0}, 11, CLOSE_RESET},
    {"data unanswered", true, {11, 110, 80, 2, 3, 0}, 20, CLOSE_TIMEOUT},
    {"FIN unanswered", true, {1, 20, 15, 1, 3, 0}, 6, CLOSE_TIMEOUT},
    {"keepalive unanswered", true, {1, 0, 0, 1, 0, 2}, 0, CLOSE_TIMEOUT},
    {"refused", true, {0, 0, 0, 1, 0, 0}, 1, CLOSE_REFUSED},
    {"SYN sent again, unanswered", true, {0, 0, 0, 0, 2, 0}, 1, CLOSE_UNANSWERED},
    {"SYN unanswered, given up at once", true, {0, 0, 0, 0, 0, 0}, 1, CLOSE_UNANSWERED},
    {"closed, but dropped on this host", true, {300002, 573672, 186792, 166, 0, 0}, 0, CLOSE_UNKNOWN},
    {"more acknowledged than there was", false, {3, 0, 0, 3, 0, 0}, 0, CLOSE_UNKNOWN},
};
/* clang-format on */

Test(ending, is_told_from_the_last_figures)
{
    static const struct tcp_info_bytes none;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tcp_info_bytes last = info_of(&cases[i].last);
        enum close_reason ending =
            close_reason_of(cases[i].connected, &last, cases[i].unacknowledged, &none);
        cr_expect_eq(ending, cases[i].close_reason, "%s: %s", cases[i].how,
                     close_reason_name(ending));
    }
}

/* Nothing arrives during the silence; if a segment arrived, it was the reset. */
Test(ending, a_sample_within_the_silence_tells_a_reset)
{
    static const struct {
        struct figures sample;
        enum close_reason close_reason;
    } samples[] = {
        {{1, 10, 0, 5, 0, 0},
         CLOSE_TIMEOUT}, /* sampled before the silence: segments that arrived are answers */
        {{1, 20, 10, 6, 1, 0}, CLOSE_TIMEOUT},
        {{1, 20, 10, 5, 1, 0}, CLOSE_RESET},
        {{1, 10, 0, 5, 0, 1}, CLOSE_RESET},
    };
    struct tcp_info_bytes last = info_of(&(struct figures){1, 30, 20, 6, 2, 0});

    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct tcp_info_bytes sample = info_of(&samples[i].sample);
        cr_expect_eq(close_reason_of(true, &last, 10, &sample), samples[i].close_reason, "%zu", i);
    }
}

Test(ending, is_not_guessed_where_the_kernel_tells_too_little)
{
    static const struct tcp_info_bytes none;
    struct tcp_info_bytes last = info_of(&cases[0].last);
    last.length = 200; /* without bytes_sent, which Linux 4.19 added */
    cr_expect_eq(close_reason_of(true, &last, 0, &none), CLOSE_UNKNOWN);
    cr_expect_eq(close_reason_of(true, &none, 0, &none), CLOSE_UNKNOWN);
}

Test(ending, each_has_a_name_of_its_own)
{
    for (unsigned i = 0; i < CLOSE_COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            cr_expect_neq(strcmp(close_reason_name((enum close_reason)i),
                                 close_reason_name((enum close_reason)j)),
                          0);
}
