/* SPDX-License-Identifier: MIT */
/*
 * Seccomp filters: those that were there before the program was executed (systemd's
 * SystemCallFilter=, firejail), and those that the program gives itself. A filter may kill the
 * process for a system call that it does not list.
 */
#ifndef SOCKTUNE_CONFINED_H
#define SOCKTUNE_CONFINED_H

#include <stdbool.h>

/* True if this process has a seccomp filter. Reads /proc/self/status with the calls that ld.so has
 * just made itself: prctl(PR_GET_SECCOMP) may be one that the filter kills for. Where there is no
 * /proc, prctl() is asked. For the constructor alone, and only where more is to be called than it
 * takes to load a policy: it costs some 20 us. */
bool confined_at_start(void);

/* Remember from now on whether the program confines itself. For the constructor; may be called
 * again. `already`: confined_at_start(). */
void confined_watch(bool already);

/* May a filter be there? Always true without confined_watch(). For hooks; keeps errno. */
bool confined_now(void);

/* The program begins to confine itself (seccomp(2), or prctl(2), with which that begins). For
 * hooks; keeps errno. */
void confined_begin(void);

#endif
