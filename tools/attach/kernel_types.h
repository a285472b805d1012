/* SPDX-License-Identifier: MIT */
/*
 * The members of kernel structures that the BPF programs read. libbpf finds where the running
 * kernel has them (CO-RE), so only names and types matter here.
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

struct task_struct {
    struct mm_struct *mm;
    int tgid;
} KERNEL_TYPE;

struct kernel_in6_addr {
    unsigned int s6_addr32[4];
};

struct sock_common {
    unsigned short skc_family;
    volatile unsigned char skc_state;
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
} KERNEL_TYPE;

struct socket {
    struct sock *sk;
} KERNEL_TYPE;

struct tcp_sock {
    _Bool is_mptcp;
    unsigned int snd_nxt, snd_una;
    unsigned long long bytes_acked, bytes_sent, bytes_retrans;
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
