/* SPDX-License-Identifier: MIT */
/*
 * The sysctls of this machine on which advice depends.
 */
#ifndef SOCKTUNE_ADVISE_SYSCTLS_H
#define SOCKTUNE_ADVISE_SYSCTLS_H

#include <stdint.h>

/* 0: unknown. */
struct advise_sysctls {
    uint32_t somaxconn;
    uint32_t rmem_max;     /* bytes */
    uint32_t tcp_wmem_max; /* bytes: the largest send buffer that autotuning makes */
};

/* Read them from /proc/sys/net. */
void sysctls_read(struct advise_sysctls *sysctls);

#endif
