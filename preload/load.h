/* SPDX-License-Identifier: MIT */
/*
 * Finding and loading the policy, in the constructor alone.
 */
#ifndef SOCKTUNE_LOAD_H
#define SOCKTUNE_LOAD_H

#include "policy_reader.h"
#include "process_start.h"

/* Where the rules are. */
struct rules_place {
    const char *path; /* as it was named or is the default; NULL: nowhere */
    uint64_t device;  /* as st_dev has it */
    uint64_t inode;
};

enum load_result {
    LOAD_OK,     /* `policy` is ready */
    LOAD_NONE,   /* there are no rules */
    LOAD_FAILED, /* there are rules, but no policy of them; the reason has been said */
};

/*
 * Load the policy for these settings: of its rules, those that could be for this program. `policy`
 * and *extra are as of policy_reader_take(). `place` is set to where the policy came from. With
 * settings->strict, rules that are broken or missing are LOAD_FAILED or LOAD_NONE with a message,
 * whatever was kept of earlier rules.
 */
enum load_result load_policy(const struct settings *settings, struct own_executable *executable,
                             struct policy *policy, void **extra, struct rules_place *place);

#endif
