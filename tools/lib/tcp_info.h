/* SPDX-License-Identifier: MIT */
/*
 * TCP_INFO: what the kernel counts and measures of a TCP connection (tcp(7), struct tcp_info of
 * include/uapi/linux/tcp.h). The struct grows with the kernel, at its end, and libc's lags behind,
 * so it is read as bytes through a table. A field that this kernel does not return is absent, not
 * 0.
 */
#ifndef SOCKTUNE_TCP_INFO_H
#define SOCKTUNE_TCP_INFO_H

#include "option.h"

/* Room for kernels to come: 6.18 returns 280 bytes. */
#define TCP_INFO_ROOM 512u

/* As getsockopt(TCP_INFO) or INET_DIAG_INFO gave it. */
struct tcp_info_bytes {
    uint8_t bytes[TCP_INFO_ROOM];
    size_t length; /* 0: it gave none */
};

struct tcp_info_field {
    const char *name; /* as in the struct, without "tcpi_" */
    uint16_t offset;
    uint8_t width; /* bytes: 1, 2, 4 or 8 */
    uint8_t shift; /* bit fields: within one byte, from the least significant bit */
    uint8_t bits;  /* 0: no bit field */
    enum option_unit unit;
    uint64_t unset; /* this value means "none yet" or "no limit"; 0: there is no such value */
};

enum tcp_info_answer {
    TCP_INFO_ABSENT, /* the kernel does not have the field */
    TCP_INFO_UNSET,
    TCP_INFO_VALUE
};

/* All fields, in the order of the struct. */
const struct tcp_info_field *tcp_info_table(size_t *count);

/* The field of that name, or NULL. */
const struct tcp_info_field *tcp_info_find(const char *name);

/* Ask `fd`. Returns 0, or -1 with errno and a length of 0 (it is no TCP socket). One system call;
 * async-signal-safe. */
int tcp_info_read(int fd, struct tcp_info_bytes *info);

/* The value of a field; `number` is written for TCP_INFO_VALUE alone. Pure. */
enum tcp_info_answer tcp_info_get(const struct tcp_info_field *field,
                                  const struct tcp_info_bytes *info, uint64_t *number);

/* States of connections and listeners are 1 to below this. */
#define TCP_STATES_END 12u

/* The name of a state, as tcpi_state, sock_diag and /proc/net/tcp number them, as ss(8) writes it:
 * "established", "listen"; "unknown" for others. */
const char *tcp_state_name(unsigned state);

#endif
