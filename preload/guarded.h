/* SPDX-License-Identifier: MIT */
/*
 * setsockopt() calls of the program for options that a rule forces, bounds or ignores.
 */
#ifndef SOCKTUNE_GUARDED_H
#define SOCKTUNE_GUARDED_H

#include "tune.h"

/* The signature of setsockopt() and its aliases. */
typedef int guarded_call(int fd, int level, int optname, const void *value, socklen_t length);

/* One setsockopt() call of the program. */
struct own_setting {
    guarded_call *call;
    int fd, level, optname;
    const void *value;
    socklen_t length;
    int error; /* errno before the call */
};

/*
 * Make the program's call, unless a rule prevents it. An ignored option is not set. For a forced
 * option the rule's value is set instead; for a value out of bounds, the bound. If that fails, the
 * program's call is made. A value that is too short or unreadable goes to the kernel, which refuses
 * it. Returns the result that the program sees, with errno. Async-signal-safe, thread-safe.
 */
int guarded_setsockopt(const struct rules_in_force *rules, const struct own_setting *setting);

#endif
