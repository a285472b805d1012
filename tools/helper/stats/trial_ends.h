/* SPDX-License-Identifier: MIT */
/*
 * Which trials have ended, and why: a file, so that a helper that starts again does not start them
 * again. A line an end: user, the definition's hash, the reason.
 */
#ifndef SOCKTUNE_HELPER_TRIAL_ENDS_H
#define SOCKTUNE_HELPER_TRIAL_ENDS_H

#include "trials.h"

#define TRIAL_ENDS_MAX 256u /* the oldest are forgotten */

struct trial_end {
    uid_t uid;
    uint64_t id;
    char reason[TRIAL_REASON];
};

struct trial_ends {
    char *path; /* NULL: they are not kept */
    size_t count;
    struct trial_end ends[TRIAL_ENDS_MAX];
};

/* Read the file, if it exists. Malformed lines are skipped. `path` may be NULL. */
void trial_ends_read(struct trial_ends *ends, const char *path);
void trial_ends_free(struct trial_ends *ends);

/* Why it ended; NULL: it has not. */
const char *trial_ends_find(const struct trial_ends *ends, uid_t uid, uint64_t id);

/* Note one, and write the file anew. False if it cannot be written. */
bool trial_ends_add(struct trial_ends *ends, uid_t uid, uint64_t id, const char *reason);

#endif
