/* SPDX-License-Identifier: MIT */
/*
 * The program's own settings of options that a rule forces, bounds or ignores.
 */
#ifndef SOCKTUNE_GUARDED_H
#define SOCKTUNE_GUARDED_H

#include "tune.h"

/* setsockopt(), under one of its names. */
typedef int guarded_call(int fd, int level, int optname, const void *value, socklen_t length);

/* The program's call. */
struct own_setting {
    guarded_call *call;
    int fd, level, optname;
    const void *value;
    socklen_t length;
    int error; /* errno before it */
};

/*
 * Make the program's call, unless a rule is against it. An ignored option is not set. For
 * a forced one the rule's value is given there and then, and the bound for one that is out of
 * bounds; where that fails, the program's call is made. What is too short or cannot be read is left
 * to the kernel to refuse. Returns what the program is to see, with errno. Async-signal-safe,
 * thread-safe.
 */
int guarded_setsockopt(const struct rules_in_force *rules, const struct own_setting *setting);

#endif
