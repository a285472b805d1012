/* SPDX-License-Identifier: MIT */
/*
 * TCP_INFO: what the kernel counts and measures of a TCP connection (tcp(7), struct tcp_info of
 * include/uapi/linux/tcp.h). The struct grows with the kernel, at its end, and libc's lags behind,
 * so it is read as bytes through the table in tcp_info.def. A field that this kernel does not
 * return is absent, not 0.
 */
#ifndef SOCKTUNE_TCP_INFO_H
#define SOCKTUNE_TCP_INFO_H

#include "option.h"

#include <stdbool.h>

/* Room for kernels to come: 6.18 returns 280 bytes. */
#define TCP_INFO_ROOM 512u

/* As getsockopt(TCP_INFO) or INET_DIAG_INFO gave it. */
struct tcp_info_bytes {
    uint8_t bytes[TCP_INFO_ROOM];
    size_t length; /* 0: it gave none */
};

/* TCP_INFO_rtt and so on: a number for each field. */
enum tcp_info_id {
#define TCP_FIELD(id, ...) TCP_INFO_##id,
#define TCP_SUM(id, ...)   TCP_INFO_##id,
#include "tcp_info.def"
    TCP_INFO_COUNT
};

/* SUM_bytes_sent and so on: the fields that only rise in a connection's life and are summed. */
enum tcp_info_sum {
#define TCP_SUM(id, ...) SUM_##id,
#include "tcp_info.def"
    SUM_COUNT
};

/* How `stats` and `top` show a field; key NULL: they do not. See struct column in columns.h. */
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
    enum tcp_info_id depends_on; /* `depends`: the value is known only when that field's is */
    enum option_unit unit;
    uint64_t unset;     /* `has_unset`: this value means "none yet" or "no limit" */
    const char *metric; /* of a sum: the counter's name without "socktune_" and "_total" */
    const char *help;   /* of a sum: what the counter counts */
    struct tcp_info_column column;
};

enum tcp_info_answer {
    TCP_INFO_ABSENT, /* the kernel does not have the field */
    TCP_INFO_UNSET,  /* there is no value yet, or no limit */
    TCP_INFO_VALUE
};

/* All fields, in the order of the struct. */
const struct tcp_info_field *tcp_info_table(size_t *count);

/* The field of that name, or NULL. */
const struct tcp_info_field *tcp_info_find(const char *name);

/* The field that is summed there. */
const struct tcp_info_field *tcp_info_sum(enum tcp_info_sum sum);

/* Ask `fd`. Returns 0, or -1 with errno and a length of 0 (it is no TCP socket). One system call;
 * async-signal-safe. */
int tcp_info_read(int fd, struct tcp_info_bytes *info);

/* The value of a field; `number` is written for TCP_INFO_VALUE alone. Pure. */
enum tcp_info_answer tcp_info_get(const struct tcp_info_field *field,
                                  const struct tcp_info_bytes *info, uint64_t *number);

/* The same as a number; NAN where there is none. */
double tcp_info_number(const struct tcp_info_bytes *info, enum tcp_info_id id);

/*
 * Do these figures describe bulk traffic: segments that are at least half full, on average? Only
 * then does the kernel's delivery rate mean anything: it counts every segment as a full one, so a
 * few small requests can have a rate of gigabytes a second. And only then is it the path, the peer
 * or the program that "limits" the sender. NAN: not known, which is no. Pure.
 */
bool tcp_info_is_bulk(double bytes_sent, double data_segs_out, double snd_mss);

/* States of connections and listeners are 1 to below this. */
#define TCP_STATES_END 12u

/* The name of a state, as tcpi_state, sock_diag and /proc/net/tcp number them, as ss(8) writes it:
 * "established", "listen"; "unknown" for others. */
const char *tcp_state_name(unsigned state);

#endif
