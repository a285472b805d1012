/* SPDX-License-Identifier: MIT */
/*
 * Seccomp filters: those installed before the program was executed (systemd's SystemCallFilter=,
 * firejail), and those that the program installs itself. A filter may kill the process for a system
 * call that it does not list.
 */
#ifndef SOCKTUNE_CONFINED_H
#define SOCKTUNE_CONFINED_H

#include <stdbool.h>

/* True if this process has a seccomp filter. Reads /proc/self/status, with the same system calls
 * that ld.so has just made: a filter may kill the process for prctl(PR_GET_SECCOMP). prctl() is
 * called only if there is no /proc. Only for the constructor, and only if it needs more system
 * calls than loading a policy takes: this costs about 20 us. */
bool confined_at_start(void);

/* Start to track whether the program installs a filter. `already` is the result of
 * confined_at_start(). Only for the constructor; may be called again. */
void confined_watch(bool already);

/* True if a filter may be installed, and always without confined_watch(). For hooks; keeps
 * errno. */
bool confined_now(void);

/* The program is about to install a filter, by seccomp(2) or prctl(2). For hooks; keeps errno. */
void confined_begin(void);

#endif
