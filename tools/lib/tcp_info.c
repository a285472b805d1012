/* SPDX-License-Identifier: MIT */
/*
 * The fields of struct tcp_info as of Linux 6.18. New fields are only added at the end.
 */
#include "tcp_info.h"

#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

/* The words of tcp_info.def, as members of struct tcp_info_field. */
#define WHOLE             .bits = 0
#define BITS(first, many) .shift = (first), .bits = (many)
#define ALWAYS            .has_unset = false
#define UNSET(value)      .has_unset = true, .unset = (value)
#define WITH(other)       .depends = true, .depends_on = TCP_INFO_##other
#define COLUMN(...)       .column = {__VA_ARGS__}
#define NO_COLUMN         .column = {.key = NULL}

static const struct tcp_info_field fields[TCP_INFO_COUNT] = {
#define TCP_FIELD(id, at, bytes, layout, measure, known, ...)                                      \
    [TCP_INFO_##id] = {.name = #id,                                                                \
                       .offset = (at),                                                             \
                       .width = (bytes),                                                           \
                       .unit = UNIT_##measure,                                                     \
                       layout,                                                                     \
                       known,                                                                      \
                       __VA_ARGS__},
#define TCP_SUM(id, at, bytes, measure, place, counter, text)                                      \
    [TCP_INFO_##id] = {.name = #id,                                                                \
                       .offset = (at),                                                             \
                       .width = (bytes),                                                           \
                       .unit = UNIT_##measure,                                                     \
                       .metric = (counter),                                                        \
                       .help = (text),                                                             \
                       place},
#include "tcp_info.def"
};

const struct tcp_info_field *tcp_info_sum(enum tcp_info_sum sum)
{
    static const enum tcp_info_id ids[SUM_COUNT] = {
#define TCP_SUM(id, ...) [SUM_##id] = TCP_INFO_##id,
#include "tcp_info.def"
    };
    return &fields[ids[sum]];
}

const struct tcp_info_field *tcp_info_table(size_t *count)
{
    *count = TCP_INFO_COUNT;
    return fields;
}

const struct tcp_info_field *tcp_info_find(const char *name)
{
    for (size_t i = 0; i < TCP_INFO_COUNT; i++)
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

/* Compilers allocate bit fields from the end at which the byte order begins. */
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
    uint64_t value, other;
    if (info->length < (size_t)field->offset + field->width)
        return TCP_INFO_ABSENT;
    value = field->bits ? bit_field(*at, field) : whole_field(at, field->width);
    if (field->has_unset && value == field->unset)
        return TCP_INFO_UNSET;
    if (field->depends && tcp_info_get(&fields[field->depends_on], info, &other) != TCP_INFO_VALUE)
        return TCP_INFO_UNSET;
    *number = value;
    return TCP_INFO_VALUE;
}

double tcp_info_number(const struct tcp_info_bytes *info, enum tcp_info_id id)
{
    uint64_t number;
    return tcp_info_get(&fields[id], info, &number) == TCP_INFO_VALUE ? (double)number : NAN;
}

/* The initial window of a connection, in segments: fewer are no evidence. */
#define BULK_SEGMENTS 10

bool tcp_info_is_bulk(double bytes_sent, double data_segs_out, double snd_mss)
{
    return data_segs_out >= BULK_SEGMENTS && bytes_sent >= data_segs_out * snd_mss / 2;
}

const char *tcp_state_name(unsigned state)
{
    static const char *const names[] = {
        [1] = "established", [2] = "syn-sent",  [3] = "syn-recv", [4] = "fin-wait-1",
        [5] = "fin-wait-2",  [6] = "time-wait", [7] = "close",    [8] = "close-wait",
        [9] = "last-ack",    [10] = "listen",   [11] = "closing", [12] = "new-syn-recv",
    };
    return state < sizeof names / sizeof *names && names[state] != NULL ? names[state] : "unknown";
}
