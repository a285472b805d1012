/* SPDX-License-Identifier: MIT */
/*
 * The functions behind ours: those of the next object in line, be it libc or another preloaded
 * library, so that a call site reads `real.connect(...)`.
 */
#ifndef SOCKTUNE_REAL_H
#define SOCKTUNE_REAL_H

#include <sys/socket.h>
#include <time.h>

struct real {
#define HOOK(type, name, parameters) type(*name) parameters;
#include "hooks.def"
#undef HOOK
};

/* Usable at any time: until real_find() ran, each function is the bare system call. */
extern struct real real;

/* libc's function, which makes no system call and so costs little; NULL: there is none. */
extern int (*real_clock_gettime)(clockid_t clock, struct timespec *time);

/* As pthread_atfork(3), without a handler for the parent. Does nothing where libc cannot do it. For
 * the constructor. */
void real_at_fork(void (*before)(void), void (*in_child)(void));

/* Find the next object's functions. Called once, by the constructor. */
void real_find(void);

#endif
