/* SPDX-License-Identifier: MIT */
/*
 * The figures of a connection in the layout of TCP_INFO, read from the kernel's structures like
 * tcp_get_info() in net/ipv4/tcp.c does: bpf_getsockopt() has no TCP_INFO.
 *
 * The caller holds the socket's lock.
 */
#ifndef SOCKTUNE_FIGURES_BPF_H
#define SOCKTUNE_FIGURES_BPF_H

#include "attach_report.h"
#include "kernel_types.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <stddef.h>

/* struct tcp_info of the kernel's ABI, up to its length in Linux 6.7: installed headers are often
 * older. */
struct tcp_figures {
    uint8_t state, ca_state, retransmits, probes, backoff, options, scales, app_limited;
    uint32_t rto, ato, snd_mss, rcv_mss;
    uint32_t unacked, sacked, lost, retrans, fackets;
    uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
    uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
    uint32_t rcv_rtt, rcv_space, total_retrans;
    uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
    uint32_t delivered, delivered_ce;
    uint64_t bytes_sent, bytes_retrans;
    uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
    uint32_t rcv_wnd, rehash;
    uint16_t total_rto, total_rto_recoveries;
    uint32_t total_rto_time;
};
_Static_assert(sizeof(struct tcp_figures) == ATTACH_INFO_SIZE, "as in linux/tcp.h");

enum { WITH_TIMESTAMPS = 1, WITH_SACK = 2, WITH_SCALES = 4, WITH_ECN = 8, ECN_WAS_SEEN = 16 };
enum { WITH_SYN_DATA = 32 };
enum { ECN_OK = 1, ECN_ACCURATE = 16, ECN_SEEN = 8 }; /* of ecn_flags */
#define MICROSECONDS_PER_SECOND 1000000ull

#define FLAG(from, field) BPF_CORE_READ_BITFIELD(from, field)

/* Converts the time since `tick` to milliseconds. */
static __always_inline uint32_t milliseconds_since(uint32_t tick, uint32_t now, uint32_t jiffy_us)
{
    return (uint32_t)((uint64_t)(now - tick) * jiffy_us / 1000);
}

static __always_inline void read_options_agreed(struct tcp_figures *to, const struct tcp_sock *tcp)
{
    const struct tcp_options_received *agreed = &tcp->rx_opt;
    to->options = (FLAG(agreed, tstamp_ok) ? WITH_TIMESTAMPS : 0) |
                  (FLAG(agreed, sack_ok) ? WITH_SACK : 0) |
                  ((tcp->ecn_flags & (ECN_OK | ECN_ACCURATE)) != 0 ? WITH_ECN : 0) |
                  ((tcp->ecn_flags & ECN_SEEN) != 0 ? ECN_WAS_SEEN : 0) |
                  (FLAG(tcp, syn_data_acked) ? WITH_SYN_DATA : 0);
    to->scales = 0;
    if (FLAG(agreed, wscale_ok)) {
        to->options |= WITH_SCALES;
        to->scales =
            (uint8_t)(FLAG(agreed, snd_wscale) & 15) | (uint8_t)(FLAG(agreed, rcv_wscale) << 4);
    }
}

static __always_inline void read_congestion(struct tcp_figures *to, const struct tcp_sock *tcp,
                                            uint32_t now, uint32_t jiffy_us)
{
    const struct inet_connection_sock *connection = (const void *)tcp;
    to->ca_state = (uint8_t)FLAG(connection, icsk_ca_state);
    to->retransmits = connection->icsk_retransmits;
    to->probes = connection->icsk_probes_out;
    to->backoff = connection->icsk_backoff;
    to->rto = connection->icsk_rto * jiffy_us;
    to->ato = (uint32_t)FLAG(connection, icsk_ack.ato) * jiffy_us;
    to->rcv_mss = connection->icsk_ack.rcv_mss;
    to->pmtu = connection->icsk_pmtu_cookie;
    to->last_data_sent = milliseconds_since(tcp->lsndtime, now, jiffy_us);
    to->last_data_recv = milliseconds_since(connection->icsk_ack.lrcvtime, now, jiffy_us);
    to->last_ack_recv = milliseconds_since(tcp->rcv_tstamp, now, jiffy_us);
    to->last_ack_sent = 0;
}

static __always_inline void read_windows(struct tcp_figures *to, const struct tcp_sock *tcp)
{
    to->snd_mss = tcp->mss_cache;
    to->unacked = tcp->packets_out;
    to->sacked = tcp->sacked_out;
    to->lost = tcp->lost_out;
    to->retrans = tcp->retrans_out;
    to->fackets = 0;
    to->rcv_ssthresh = tcp->rcv_ssthresh;
    to->rtt = tcp->srtt_us >> 3;
    to->rttvar = tcp->mdev_us >> 2;
    to->snd_ssthresh = tcp->snd_ssthresh;
    to->snd_cwnd = tcp->snd_cwnd;
    to->advmss = tcp->advmss;
    to->reordering = tcp->reordering;
    to->rcv_rtt = tcp->rcv_rtt_est.rtt_us >> 3;
    to->rcv_space = tcp->rcvq_space.space;
    to->min_rtt = tcp->rtt_min.s[0].v;
    to->snd_wnd = tcp->snd_wnd;
    int32_t unsent = (int32_t)(tcp->write_seq - tcp->snd_nxt);
    to->notsent_bytes = unsent > 0 ? (uint32_t)unsent : 0;
}

static __always_inline void read_sums(struct tcp_figures *to, const struct tcp_sock *tcp)
{
    to->total_retrans = tcp->total_retrans;
    to->bytes_acked = tcp->bytes_acked;
    to->bytes_received = tcp->bytes_received;
    to->bytes_sent = tcp->bytes_sent;
    to->bytes_retrans = tcp->bytes_retrans;
    to->segs_out = tcp->segs_out;
    to->segs_in = tcp->segs_in;
    to->data_segs_in = tcp->data_segs_in;
    to->data_segs_out = tcp->data_segs_out;
    to->delivered = tcp->delivered;
    to->delivered_ce = tcp->delivered_ce;
    to->dsack_dups = tcp->dsack_dups;
    to->reord_seen = tcp->reord_seen;
    to->rcv_ooopack = tcp->rcv_ooopack;
}

static __always_inline void read_rates(struct tcp_figures *to, const struct tcp_sock *tcp)
{
    const struct sock *sk = (const void *)tcp;
    uint64_t delivered = tcp->rate_delivered, interval = tcp->rate_interval_us;
    to->pacing_rate = sk->sk_pacing_rate;
    to->max_pacing_rate = sk->sk_max_pacing_rate;
    to->app_limited =
        (uint8_t)((FLAG(tcp, rate_app_limited) & 1) | (FLAG(tcp, fastopen_client_fail) & 3) << 1);
    to->delivery_rate = delivered != 0 && interval != 0
                            ? delivered * tcp->mss_cache * MICROSECONDS_PER_SECOND / interval
                            : 0;
}

/* Busy, limited by the peer's window, limited by the send buffer: each time counts until the next
 * one begins, and the first is the sum (tcp_get_info_chrono_stats()). */
static __always_inline void read_times(struct tcp_figures *to, const struct tcp_sock *tcp,
                                       uint32_t now, uint32_t jiffy_us)
{
    uint32_t type = (uint32_t)FLAG(tcp, chrono_type), current = now - tcp->chrono_start;
    uint64_t busy = tcp->chrono_stat[0] + (type == 1 ? current : 0);
    uint64_t window = tcp->chrono_stat[1] + (type == 2 ? current : 0);
    uint64_t buffer = tcp->chrono_stat[2] + (type == 3 ? current : 0);
    to->busy_time = (busy + window + buffer) * jiffy_us;
    to->rwnd_limited = window * jiffy_us;
    to->sndbuf_limited = buffer * jiffy_us;
}

/* Reads the fields at the end, which older kernels lack. Returns the length. */
static __always_inline uint32_t read_newer(struct tcp_figures *to, const struct tcp_sock *tcp)
{
    if (!bpf_core_field_exists(tcp->rcv_wnd) || !bpf_core_field_exists(tcp->plb_rehash))
        return offsetof(struct tcp_figures, rcv_wnd);
    to->rcv_wnd = tcp->rcv_wnd;
    to->rehash = tcp->plb_rehash + tcp->timeout_rehash;
    if (!bpf_core_field_exists(tcp->total_rto))
        return offsetof(struct tcp_figures, total_rto);
    to->total_rto = tcp->total_rto;
    to->total_rto_recoveries = tcp->total_rto_recoveries;
    to->total_rto_time = tcp->total_rto_time;
    return sizeof *to;
}

/* Fills in a report's figures: `info`, its length, the congestion control, the unacknowledged
 * bytes. */
static __always_inline void read_figures(struct attach_report *report, const struct tcp_sock *tcp,
                                         uint32_t jiffy_us)
{
    const struct inet_connection_sock *connection = (const void *)tcp;
    struct tcp_figures *to = (struct tcp_figures *)report->info;
    uint32_t now = (uint32_t)bpf_jiffies64();
    to->state = ((const struct sock *)(const void *)tcp)->__sk_common.skc_state;
    read_options_agreed(to, tcp);
    read_congestion(to, tcp, now, jiffy_us);
    read_windows(to, tcp);
    read_sums(to, tcp);
    read_rates(to, tcp);
    read_times(to, tcp, now, jiffy_us);
    report->info_length = read_newer(to, tcp);
    report->unacknowledged = tcp->write_seq - tcp->snd_una;
    bpf_probe_read_kernel_str(report->congestion, sizeof report->congestion,
                              connection->icsk_ca_ops->name);
}

#endif
