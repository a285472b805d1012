/* SPDX-License-Identifier: MIT */
/*
 * Finding and loading the policy, in the constructor alone.
 */
#ifndef SOCKTUNE_LOAD_H
#define SOCKTUNE_LOAD_H

#include "policy.h"

enum load_result {
    LOAD_OK,     /* `policy` is ready */
    LOAD_NONE,   /* there are no rules: nothing to do, nothing to say */
    LOAD_FAILED, /* there are rules, but no policy of them; the reason has been said */
};

/* What a process is told by its environment; all NULL under AT_SECURE. */
struct settings {
    const char *rules; /* SOCKTUNE_RULES */
    const char *trace; /* SOCKTUNE_TRACE */
    bool disable;      /* SOCKTUNE_DISABLE */
    bool strict;       /* SOCKTUNE_STRICT */
    bool secure;       /* AT_SECURE: runs with privileges that its caller has not */
    uint32_t uid;      /* effective */
};

/*
 * Load the policy for these settings. The blob lies in a private mapping that stays for the life
 * of the process, and behind it, at *extra (aligned to 8), lie zeros for the caller to use:
 * six bytes for each rule and option. `rules` is set to the path the policy came from.
 */
enum load_result load_policy(const struct settings *settings, struct policy *policy, void **extra,
                             const char **rules);

#endif
