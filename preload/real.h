/* SPDX-License-Identifier: MIT */
/*
 * The functions that the hooks call: those of the next object in the search order, which is libc or
 * another preloaded library. A call site reads `real.connect(...)`.
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

/* Always usable: until real_find() has run, each function is the bare system call. */
extern struct real real;

/* libc's function, which makes no system call and so is cheap. NULL if there is none. */
extern int (*real_clock_gettime)(clockid_t clock, struct timespec *time);

/* Like pthread_atfork(3) without a handler for the parent. Does nothing if libc lacks it. Only for
 * the constructor. */
void real_at_fork(void (*before)(void), void (*in_child)(void));

/* Find the next object's functions. Only for the constructor, once. */
void real_find(void);

#endif
