/* SPDX-License-Identifier: MIT */
/*
 * Seccomp filters that were there before the program was executed (systemd's SystemCallFilter=,
 * firejail). Such a filter may kill the process for a system call that it does not list.
 */
#ifndef SOCKTUNE_CONFINED_H
#define SOCKTUNE_CONFINED_H

#include <stdbool.h>

/* True if this process has a seccomp filter. Reads /proc/self/status with the calls that ld.so has
 * just made itself: prctl(PR_GET_SECCOMP) may be one that the filter kills for. Where there is no
 * /proc, prctl() is asked. For the constructor alone, and only where more is to be called than it
 * takes to load a policy: it costs some 20 us. */
bool confined_at_start(void);

#endif
