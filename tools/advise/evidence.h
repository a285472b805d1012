/* SPDX-License-Identifier: MIT */
/*
 * Evidence: the figures of one socket, accumulated over its samples. Its size does not depend on
 * how long the socket is watched. Pure.
 */
#ifndef SOCKTUNE_ADVISE_EVIDENCE_H
#define SOCKTUNE_ADVISE_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

enum advise_kind { ADVISE_CONNECTION, ADVISE_LISTENER, ADVISE_DATAGRAM };

/* Fields of tcp_info that only increase; times in microseconds, sizes in bytes. */
struct advise_counters {
    uint64_t busy;     /* busy_time: data was unacknowledged or not sent */
    uint64_t limited;  /* rwnd_limited: time limited by the peer's window */
    uint64_t sent;     /* bytes_sent: includes retransmissions */
    uint64_t resent;   /* bytes_retrans */
    uint64_t received; /* bytes_received */
    uint64_t segments; /* data_segs_out */
};

/* One sample of one socket: the fields of sock_diag's answer that verdicts need. */
struct advise_sample {
    enum advise_kind kind;
    double when; /* seconds of the monotonic clock */
    unsigned state;
    unsigned timer;         /* enum sock_diag_timer */
    uint32_t receive_queue; /* unread bytes; for a listener: connections that wait for accept() */
    uint32_t send_queue;    /* for a listener: its backlog */
    uint32_t receive_memory, receive_buffer; /* bytes, overhead included */
    uint32_t send_memory, send_buffer;
    uint32_t drops; /* since the socket was created */
    /* The rest is only for connections. */
    bool has_info;
    uint32_t mss;            /* bytes */
    uint32_t unacked;        /* segments */
    uint32_t window;         /* snd_cwnd: segments */
    uint32_t peer_space;     /* snd_wnd: bytes; 0: unknown */
    uint32_t own_space;      /* rcv_wnd: bytes; 0: unknown */
    uint32_t not_sent;       /* bytes */
    uint32_t rtt, least_rtt; /* microseconds; 0: none yet */
    uint32_t rto;            /* microseconds */
    uint32_t backoff;        /* how often the retransmission timeout was doubled */
    uint32_t since_sent, since_received, since_acked; /* milliseconds */
    uint64_t acked;                                   /* bytes_acked, including the SYN */
    struct advise_counters counters;
};

/* Options read from a duplicate of the socket (see second_look.h). */
struct advise_options {
    bool known;
    bool nodelay, cork, keepalive;
    bool receive_locked, send_locked; /* SO_BUF_LOCK: the program has set the buffer's size */
    uint32_t user_timeout;            /* milliseconds; 0: none */
};

struct advise_evidence {
    enum advise_kind kind;
    unsigned state;
    uint32_t samples;
    double first, last; /* seconds of the monotonic clock */
    /* Counts of samples. */
    uint32_t active;       /* data was unacknowledged or not sent */
    uint32_t held_back;    /* less than a segment waited although the window was open: Nagle */
    uint32_t stalls;       /* the same, without repeated samples of the same data */
    uint32_t unread;       /* the receive queue was not empty */
    uint32_t crammed;      /* the receive queue took a third of the buffer or more */
    uint32_t filled;       /* the whole send buffer was in flight while the window was open */
    uint32_t full;         /* the same, and a write would have blocked */
    uint32_t kept_alive;   /* the keepalive timer ran */
    uint32_t queue_filled; /* listener: the queue was at its limit */
    uint64_t last_stall;   /* bytes acknowledged at the last stall */
    /* Sums since the first sample, or since the socket's creation if that was later. */
    struct advise_counters counters, latest;
    uint64_t rtt_sum; /* microseconds */
    uint32_t rtt_count, least_rtt;
    uint32_t drops, latest_drops;
    uint32_t receive_most; /* the largest use of the receive buffer, bytes */
    uint32_t queue_most;   /* for a listener */
    /* The last sample. */
    struct advise_sample now;
    struct advise_options options;
};

/* Add a sample. `born`: the socket was created while we watched, so its counters started at 0. */
void evidence_add(struct advise_evidence *evidence, const struct advise_sample *sample, bool born);

/* Add the last counters of a connection that has ended; they are not a sample. After a reset the
 * kernel may have cleared them: counters that decrease are ignored. */
void evidence_finish(struct advise_evidence *evidence, const struct advise_counters *counters,
                     uint32_t rtt, uint32_t least_rtt);

/* Add the evidence of another socket of the same kind, as if both were one. */
void evidence_merge(struct advise_evidence *into, const struct advise_evidence *other);

/* Returns which side opened the connection: 1: this one; 0: the other; -1: unknown. When everything
 * is acknowledged, the SYN of the connecting side counts in bytes_acked. */
int evidence_connected(const struct advise_sample *sample);

/* Returns the mean round-trip time in microseconds; 0: unknown. */
double evidence_rtt(const struct advise_evidence *evidence);

#endif
