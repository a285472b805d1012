/* SPDX-License-Identifier: MIT */
/*
 * The fields of struct tcp_info as of Linux 6.18. Fields are only ever added at the end.
 */
#include "tcp_info.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define ALL_ONES_32     UINT32_MAX
#define ALL_ONES_64     UINT64_MAX
#define INFINITE_WINDOW UINT64_C(0x7fffffff) /* TCP_INFINITE_SSTHRESH */

/* clang-format off */
static const struct tcp_info_field fields[] = {
    /* name             offset w  bits    unit                    unset */
    {"state",               0, 1, 0, 0, UNIT_NONE,             0},
    {"ca_state",            1, 1, 0, 0, UNIT_NONE,             0},
    {"retransmits",         2, 1, 0, 0, UNIT_COUNT_OF,         0},
    {"probes",              3, 1, 0, 0, UNIT_COUNT_OF,         0},
    {"backoff",             4, 1, 0, 0, UNIT_COUNT_OF,         0},
    {"options",             5, 1, 0, 0, UNIT_NONE,             0},
    {"snd_wscale",          6, 1, 0, 4, UNIT_NONE,             0},
    {"rcv_wscale",          6, 1, 4, 4, UNIT_NONE,             0},
    {"app_limited",         7, 1, 0, 1, UNIT_NONE,             0},
    {"fastopen_fail",       7, 1, 1, 2, UNIT_NONE,             0},
    {"rto",                 8, 4, 0, 0, UNIT_MICROSECONDS,     0},
    {"ato",                12, 4, 0, 0, UNIT_MICROSECONDS,     0},
    {"snd_mss",            16, 4, 0, 0, UNIT_BYTES,            0},
    {"rcv_mss",            20, 4, 0, 0, UNIT_BYTES,            0},
    {"unacked",            24, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"sacked",             28, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"lost",               32, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"retrans",            36, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"fackets",            40, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"last_data_sent",     44, 4, 0, 0, UNIT_MILLISECONDS,     0},
    {"last_ack_sent",      48, 4, 0, 0, UNIT_MILLISECONDS,     0},
    {"last_data_recv",     52, 4, 0, 0, UNIT_MILLISECONDS,     0},
    {"last_ack_recv",      56, 4, 0, 0, UNIT_MILLISECONDS,     0},
    {"pmtu",               60, 4, 0, 0, UNIT_BYTES,            0},
    {"rcv_ssthresh",       64, 4, 0, 0, UNIT_BYTES,            0},
    {"rtt",                68, 4, 0, 0, UNIT_MICROSECONDS,     0},
    {"rttvar",             72, 4, 0, 0, UNIT_MICROSECONDS,     0},
    {"snd_ssthresh",       76, 4, 0, 0, UNIT_COUNT_OF,         INFINITE_WINDOW},
    {"snd_cwnd",           80, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"advmss",             84, 4, 0, 0, UNIT_BYTES,            0},
    {"reordering",         88, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"rcv_rtt",            92, 4, 0, 0, UNIT_MICROSECONDS,     0},
    {"rcv_space",          96, 4, 0, 0, UNIT_BYTES,            0},
    {"total_retrans",     100, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"pacing_rate",       104, 8, 0, 0, UNIT_BYTES_PER_SECOND, ALL_ONES_64},
    {"max_pacing_rate",   112, 8, 0, 0, UNIT_BYTES_PER_SECOND, ALL_ONES_64},
    {"bytes_acked",       120, 8, 0, 0, UNIT_BYTES,            0},
    {"bytes_received",    128, 8, 0, 0, UNIT_BYTES,            0},
    {"segs_out",          136, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"segs_in",           140, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"notsent_bytes",     144, 4, 0, 0, UNIT_BYTES,            0},
    {"min_rtt",           148, 4, 0, 0, UNIT_MICROSECONDS,     ALL_ONES_32},
    {"data_segs_in",      152, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"data_segs_out",     156, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"delivery_rate",     160, 8, 0, 0, UNIT_BYTES_PER_SECOND, 0},
    {"busy_time",         168, 8, 0, 0, UNIT_MICROSECONDS,     0},
    {"rwnd_limited",      176, 8, 0, 0, UNIT_MICROSECONDS,     0},
    {"sndbuf_limited",    184, 8, 0, 0, UNIT_MICROSECONDS,     0},
    {"delivered",         192, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"delivered_ce",      196, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"bytes_sent",        200, 8, 0, 0, UNIT_BYTES,            0},
    {"bytes_retrans",     208, 8, 0, 0, UNIT_BYTES,            0},
    {"dsack_dups",        216, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"reord_seen",        220, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"rcv_ooopack",       224, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"snd_wnd",           228, 4, 0, 0, UNIT_BYTES,            0},
    {"rcv_wnd",           232, 4, 0, 0, UNIT_BYTES,            0},
    {"rehash",            236, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"total_rto",         240, 2, 0, 0, UNIT_COUNT_OF,         0},
    {"total_rto_recoveries", 242, 2, 0, 0, UNIT_COUNT_OF,      0},
    {"total_rto_time",    244, 4, 0, 0, UNIT_MILLISECONDS,     0},
    {"received_ce",       248, 4, 0, 0, UNIT_COUNT_OF,         0},
    {"delivered_e1_bytes", 252, 4, 0, 0, UNIT_BYTES,           0},
    {"delivered_e0_bytes", 256, 4, 0, 0, UNIT_BYTES,           0},
    {"delivered_ce_bytes", 260, 4, 0, 0, UNIT_BYTES,           0},
    {"received_e1_bytes", 264, 4, 0, 0, UNIT_BYTES,            0},
    {"received_e0_bytes", 268, 4, 0, 0, UNIT_BYTES,            0},
    {"received_ce_bytes", 272, 4, 0, 0, UNIT_BYTES,            0},
    {"accecn_fail_mode",  276, 2, 0, 0, UNIT_NONE,             0},
    {"accecn_opt_seen",   278, 2, 0, 0, UNIT_NONE,             0},
};
/* clang-format on */

const struct tcp_info_field *tcp_info_table(size_t *count)
{
    *count = sizeof fields / sizeof *fields;
    return fields;
}

const struct tcp_info_field *tcp_info_find(const char *name)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

int tcp_info_read(int fd, struct tcp_info_bytes *info)
{
    socklen_t length = sizeof info->bytes;
    int result = getsockopt(fd, IPPROTO_TCP, TCP_INFO, info->bytes, &length);

    info->length = result == 0 ? length : 0;
    return result;
}

/* Compilers lay bit fields out from the end that the byte order begins with. */
static uint64_t bit_field(uint8_t byte, const struct tcp_info_field *field)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    unsigned shift = field->shift;
#else
    unsigned shift = 8u - field->shift - field->bits;
#endif
    return ((unsigned)byte >> shift) & ((1u << field->bits) - 1u);
}

static uint64_t whole_field(const uint8_t *at, unsigned width)
{
    uint16_t two;
    uint32_t four;
    uint64_t eight;

    switch (width) {
    case 1:
        return *at;
    case 2:
        memcpy(&two, at, sizeof two);
        return two;
    case 4:
        memcpy(&four, at, sizeof four);
        return four;
    default:
        memcpy(&eight, at, sizeof eight);
        return eight;
    }
}

enum tcp_info_answer tcp_info_get(const struct tcp_info_field *field,
                                  const struct tcp_info_bytes *info, uint64_t *number)
{
    const uint8_t *at = info->bytes + field->offset;
    uint64_t value;

    if (info->length < (size_t)field->offset + field->width)
        return TCP_INFO_ABSENT;
    value = field->bits ? bit_field(*at, field) : whole_field(at, field->width);
    if (field->unset && value == field->unset)
        return TCP_INFO_UNSET;
    *number = value;
    return TCP_INFO_VALUE;
}

const char *tcp_state_name(unsigned state)
{
    static const char *const names[] = {
        [1] = "established", [2] = "syn-sent",  [3] = "syn-recv", [4] = "fin-wait-1",
        [5] = "fin-wait-2",  [6] = "time-wait", [7] = "close",    [8] = "close-wait",
        [9] = "last-ack",    [10] = "listen",   [11] = "closing", [12] = "new-syn-recv",
    };

    return state < sizeof names / sizeof *names && names[state] ? names[state] : "unknown";
}
