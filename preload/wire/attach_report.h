/* SPDX-License-Identifier: MIT */
/*
 * What the BPF programs of `socktune attach` report to the helper: connections that begin and end.
 * The reports go through a BPF ring buffer. A map beside it holds the state that reader and writers
 * share.
 *
 * The command passes both maps to the helper over the registration socket:
 *
 *   struct attach_message
 *
 * with two descriptors (SCM_RIGHTS): [0] the ring buffer, of ATTACH_REPORTS_SIZE bytes, and [1] the
 * array with one struct attach_channel. The helper maps both. That needs no privilege and no
 * bpf(2), which a service is often not allowed to call.
 *
 * Both maps live as long as anything references them: the attached programs, their pins, the
 * helper. The helper releases them when `closed` is set, or when the process that passed them has
 * ended, unless the attachment is pinned.
 *
 * Shared with a BPF program, so it includes only freestanding headers.
 */
#ifndef SOCKTUNE_ATTACH_REPORT_H
#define SOCKTUNE_ATTACH_REPORT_H

#include <stdint.h>

#define ATTACH_MESSAGE_MAGIC   "STATTACH"
#define ATTACH_MESSAGE_VERSION 1u
#define ATTACH_PINNED          1u /* attach_message.flags: the attachment outlives its command */

struct attach_message {
    char magic[8];
    uint32_t version;
    uint32_t size; /* of the message */
    uint32_t flags;
    uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct attach_message) == 24, "the same on every architecture");

#define ATTACH_REPORTS_SIZE      (4u << 20) /* bytes of the ring buffer; a power of two */
#define ATTACH_CHANNEL_VERSION   1u
#define ATTACH_CHANNEL_RULES     1024u
#define ATTACH_CHANNEL_OPTIONS   64u
#define ATTACH_CHANNEL_NAME_SIZE 64u
/* Nothing is reported while the heartbeat is older than this. */
#define ATTACH_HEARTBEAT_MAX_NS ((uint64_t)10 * 1000000000u)

struct attach_channel {
    uint64_t heartbeat; /* helper: CLOCK_MONOTONIC ns, renewed every second; 0: no reader */
    uint64_t lost;      /* BPF programs: reports for which there was no room */
    uint32_t closed;    /* command: set when the attachment has ended */
    uint32_t version;
    uint64_t id; /* random, identifies the channel */
    uint32_t rule_count;
    uint32_t option_count;
    struct {
        int32_t level;
        int32_t optname;
    } options[ATTACH_CHANNEL_OPTIONS];
    /* The names of the rules, NUL-terminated; longer ones are truncated. */
    char rules[ATTACH_CHANNEL_RULES][ATTACH_CHANNEL_NAME_SIZE];
};

/* In ATTACH_ENDED: the connection began under rules that have been replaced since, so the channel
 * does not name its rule and its options. */
#define ATTACH_FORMER_RULE UINT16_MAX

enum attach_report_kind {
    ATTACH_OPENED = 1, /* fields up to `info` are valid */
    ATTACH_ENDED       /* all fields are valid */
};

/* TCP_INFO up to here has values that a BPF program can read. */
#define ATTACH_INFO_SIZE 248u

/* One connection or listener. Addresses are in network order, IPv4 as v4-mapped; ports are in host
 * byte order. Times are CLOCK_MONOTONIC nanoseconds. */
struct attach_report {
    uint64_t cookie;
    uint64_t netns; /* cookie of its network namespace */
    uint64_t opened_ns;
    uint64_t time_ns;
    uint64_t given;   /* options that rules set: a bit for each in attach_channel.options */
    uint64_t refused; /* options that the kernel refused, likewise */
    uint8_t local[16];
    uint8_t remote[16]; /* 0 for a listener */
    uint32_t pid;       /* process that created the socket, or its listener */
    uint32_t uid;       /* owner of the socket */
    uint32_t interface; /* interface to which the socket is bound; 0: none */
    uint16_t local_port;
    uint16_t remote_port;
    uint16_t family; /* of the socket: AF_INET or AF_INET6 */
    uint16_t rule;   /* index into attach_channel.rules, or ATTACH_FORMER_RULE */
    uint8_t kind;    /* enum attach_report_kind */
    uint8_t role;    /* enum role_bit: connect, listen or accept */
    uint8_t aborted; /* the program closed it with SO_LINGER 0 */
    uint8_t reserved[9];
    char program[ATTACH_CHANNEL_NAME_SIZE]; /* terminated */
    uint8_t errors[ATTACH_CHANNEL_OPTIONS]; /* errno of each refused option */
    uint32_t unacknowledged;                /* bytes that the peer had not acknowledged */
    uint32_t info_length;                   /* bytes of `info` that this kernel has */
    char congestion[16];
    uint8_t info[ATTACH_INFO_SIZE]; /* layout of TCP_INFO */
};
_Static_assert(sizeof(struct attach_report) == 512, "the same on every architecture");

#endif
