/* SPDX-License-Identifier: MIT */
/*
 * TCP_INFO: what the kernel counts and measures for a TCP connection (tcp(7), struct tcp_info of
 * include/uapi/linux/tcp.h). The struct grows at its end with the kernel, and libc's version is
 * older. So it is read as bytes, through the table in tcp_info.def. A field that this kernel does
 * not return is absent, not 0.
 */
#ifndef SOCKTUNE_TCP_INFO_H
#define SOCKTUNE_TCP_INFO_H

#include "option.h"

#include <stdbool.h>

/* Room for future kernels: 6.18 returns 280 bytes. */
#define TCP_INFO_ROOM 512u

/* The result of getsockopt(TCP_INFO) or of INET_DIAG_INFO. */
struct tcp_info_bytes {
    uint8_t bytes[TCP_INFO_ROOM];
    size_t length; /* 0: none */
};

/* TCP_INFO_rtt and so on: a number for each field. */
enum tcp_info_id {
#define TCP_FIELD(id, ...) TCP_INFO_##id,
#define TCP_SUM(id, ...)   TCP_INFO_##id,
#include "tcp_info.def"
    TCP_INFO_COUNT
};

/* SUM_bytes_sent and so on: the fields that only increase during a connection and are summed. */
enum tcp_info_sum {
#define TCP_SUM(id, ...) SUM_##id,
#include "tcp_info.def"
    SUM_COUNT
};

/* How `stats` and `top` show a field; key NULL: not shown. See struct column in columns.h. */
struct tcp_info_column {
    const char *key;
    const char *heading;
    unsigned place;
    unsigned importance;
};

struct tcp_info_field {
    const char *name; /* as in the struct, without "tcpi_" */
    uint16_t offset;
    uint8_t width; /* bytes: 1, 2, 4 or 8 */
    uint8_t shift; /* bit fields: within one byte, from the least significant bit */
    uint8_t bits;  /* 0: no bit field */
    bool has_unset;
    bool depends;
    enum tcp_info_id depends_on; /* with `depends`: the value is valid only if that field's is */
    enum option_unit unit;
    uint64_t unset;     /* with `has_unset`: this value means "none yet" or "no limit" */
    const char *metric; /* for a sum: the counter's name without "socktune_" and "_total" */
    const char *help;   /* for a sum: what the counter counts */
    struct tcp_info_column column;
};

enum tcp_info_answer {
    TCP_INFO_ABSENT, /* the kernel does not return the field */
    TCP_INFO_UNSET,  /* no value yet, or no limit */
    TCP_INFO_VALUE
};

/* Returns all fields, in the order of the struct. */
const struct tcp_info_field *tcp_info_table(size_t *count);

/* Returns the field with that name, or NULL. */
const struct tcp_info_field *tcp_info_find(const char *name);

/* Returns the field of that sum. */
const struct tcp_info_field *tcp_info_sum(enum tcp_info_sum sum);

/* Read TCP_INFO of `fd`. Returns 0, or -1 with errno and a length of 0 (no TCP socket). One system
 * call; async-signal-safe. */
int tcp_info_read(int fd, struct tcp_info_bytes *info);

/* Get the value of a field; `number` is written only for TCP_INFO_VALUE. Pure. */
enum tcp_info_answer tcp_info_get(const struct tcp_info_field *field,
                                  const struct tcp_info_bytes *info, uint64_t *number);

/* Returns the value as a number; NAN if there is none. */
double tcp_info_number(const struct tcp_info_bytes *info, enum tcp_info_id id);

/*
 * True if these figures describe bulk traffic: segments that are at least half full on average.
 * Only then is the kernel's delivery rate meaningful: it counts every segment as a full one, so a
 * few small requests can have a rate of gigabytes per second. And only then is it the path, the
 * peer or the program that "limits" the sender. NAN means unknown, and gives false. Pure.
 */
bool tcp_info_is_bulk(double bytes_sent, double data_segs_out, double snd_mss);

/* States of connections and listeners are 1 to TCP_STATES_END - 1. */
#define TCP_STATES_END 12u

/* Returns the name of a state, as in ss(8): "established", "listen"; "unknown" for others. The
 * numbers are those of tcpi_state, sock_diag and /proc/net/tcp. */
const char *tcp_state_name(unsigned state);

#endif
