/* SPDX-License-Identifier: MIT */
/*
 * The members of kernel structures that the BPF programs read. libbpf finds their offsets in the
 * running kernel (CO-RE), so only names and types matter here.
 */
#ifndef SOCKTUNE_KERNEL_TYPES_H
#define SOCKTUNE_KERNEL_TYPES_H

#define KERNEL_TYPE __attribute__((preserve_access_index))

struct qstr {
    const unsigned char *name;
} KERNEL_TYPE;

struct dentry {
    struct qstr d_name;
} KERNEL_TYPE;

struct path {
    struct dentry *dentry;
} KERNEL_TYPE;

struct file {
    struct path f_path;
} KERNEL_TYPE;

struct mm_struct {
    struct file *exe_file;
    unsigned long arg_start;
} KERNEL_TYPE;

struct cred {
    struct {
        unsigned int val;
    } euid, egid;
} KERNEL_TYPE;

struct task_struct {
    struct mm_struct *mm;
    const struct cred *cred;
    int tgid;
} KERNEL_TYPE;

struct kernel_in6_addr {
    unsigned int s6_addr32[4];
};

struct sock_common {
    unsigned short skc_family;
    volatile unsigned char skc_state;
    unsigned long skc_flags;
    unsigned int skc_daddr;
    unsigned int skc_rcv_saddr;
    unsigned short skc_dport;
    unsigned short skc_num;
    struct kernel_in6_addr skc_v6_daddr;
    struct kernel_in6_addr skc_v6_rcv_saddr;
} KERNEL_TYPE;

struct sock {
    struct sock_common __sk_common;
    unsigned char sk_userlocks : 4;
    int sk_err;
    struct {
        unsigned int val;
    } sk_uid;
    unsigned long sk_lingertime;
    unsigned long sk_pacing_rate, sk_max_pacing_rate;
} KERNEL_TYPE;

/* Bit numbers in skc_flags. */
enum sock_flags { SOCK_LINGER = 4 };

struct socket {
    struct sock *sk;
} KERNEL_TYPE;

struct tcp_congestion_ops {
    char name[16];
} KERNEL_TYPE;

struct inet_connection_sock {
    unsigned int icsk_rto;
    unsigned int icsk_pmtu_cookie;
    const struct tcp_congestion_ops *icsk_ca_ops;
    unsigned char icsk_ca_state : 5;
    unsigned char icsk_retransmits;
    unsigned char icsk_backoff;
    unsigned char icsk_probes_out;
    struct {
        unsigned int ato : 8;
        unsigned int lrcvtime;
        unsigned short rcv_mss;
    } icsk_ack;
} KERNEL_TYPE;

struct minmax_sample {
    unsigned int t, v;
} KERNEL_TYPE;

struct minmax {
    struct minmax_sample s[3];
} KERNEL_TYPE;

struct tcp_options_received {
    unsigned short wscale_ok : 1, tstamp_ok : 1, sack_ok : 3, snd_wscale : 4, rcv_wscale : 4;
} KERNEL_TYPE;

struct tcp_sock {
    _Bool is_mptcp;
    unsigned int snd_nxt, snd_una, write_seq;
    unsigned long long bytes_acked, bytes_received, bytes_sent, bytes_retrans;
    unsigned int segs_in, segs_out, data_segs_in, data_segs_out, total_retrans;
    unsigned int delivered, delivered_ce, dsack_dups, reord_seen, rcv_ooopack;
    unsigned int mss_cache, packets_out, sacked_out, lost_out, retrans_out;
    unsigned int lsndtime, rcv_tstamp, rcv_ssthresh, srtt_us, mdev_us, snd_ssthresh;
    unsigned int snd_cwnd, reordering, snd_wnd, rcv_wnd;
    unsigned short advmss, timeout_rehash;
    unsigned int plb_rehash;
    unsigned short total_rto, total_rto_recoveries;
    unsigned int total_rto_time;
    unsigned int rate_delivered, rate_interval_us;
    unsigned char rate_app_limited : 1, fastopen_client_fail : 2, syn_data_acked : 1;
    unsigned char ecn_flags;
    unsigned int chrono_start, chrono_stat[3];
    unsigned char chrono_type : 2;
    struct minmax rtt_min;
    struct tcp_options_received rx_opt;
    struct {
        unsigned int rtt_us;
    } rcv_rtt_est;
    struct {
        unsigned int space;
    } rcvq_space;
} KERNEL_TYPE;

struct seq_file;

struct bpf_iter_meta {
    struct seq_file *seq;
} KERNEL_TYPE;

struct bpf_iter__tcp {
    struct bpf_iter_meta *meta;
    struct sock_common *sk_common;
} KERNEL_TYPE;

struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    unsigned int fd;
    struct file *file;
} KERNEL_TYPE;

#endif
