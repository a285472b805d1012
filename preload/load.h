/* SPDX-License-Identifier: MIT */
/*
 * Finding and loading the policy. Only for the constructor.
 */
#ifndef SOCKTUNE_LOAD_H
#define SOCKTUNE_LOAD_H

#include "policy_reader.h"
#include "process_start.h"

/* Where the rules are. */
struct rules_place {
    const char *path; /* as given or the default; NULL: no rules */
    uint64_t device;  /* st_dev of `path` */
    uint64_t inode;   /* st_ino of `path` */
};

enum load_result {
    LOAD_OK,     /* `policy` is ready */
    LOAD_NONE,   /* there are no rules */
    LOAD_FAILED, /* rules exist, but no policy could be made of them; the reason has been printed */
};

/*
 * Load the policy for these settings, but only the rules that could be for this program. `policy`
 * and *extra are as policy_reader_take() returns them. `place` is set to the source of the policy.
 * With settings->strict, broken or missing rules are LOAD_FAILED or LOAD_NONE with a message, even
 * if an older good policy exists. Changes errno.
 */
enum load_result load_policy(const struct settings *settings, struct own_executable *executable,
                             struct policy *policy, void **extra, struct rules_place *place);

#endif
