/* SPDX-License-Identifier: MIT */
/*
 * A file with the trials that have ended, and the reasons, so that a restarted helper does not
 * start them again. One line per end: user, hash of the definition, reason.
 */
#ifndef SOCKTUNE_HELPER_TRIAL_ENDS_H
#define SOCKTUNE_HELPER_TRIAL_ENDS_H

#include "trials.h"

#define TRIAL_ENDS_MAX 256u /* the oldest are removed */

struct trial_end {
    uid_t uid;
    uint64_t id;
    char reason[TRIAL_REASON];
};

struct trial_ends {
    char *path; /* NULL: not stored */
    size_t count;
    struct trial_end ends[TRIAL_ENDS_MAX];
};

/* Read the file, if it exists. Malformed lines are skipped. `path` may be NULL. */
void trial_ends_read(struct trial_ends *ends, const char *path);
void trial_ends_free(struct trial_ends *ends);

/* Returns the reason of the end; NULL if the trial has not ended. */
const char *trial_ends_find(const struct trial_ends *ends, uid_t uid, uint64_t id);

/* Add an end, and rewrite the file. False if it cannot be written. */
bool trial_ends_add(struct trial_ends *ends, uid_t uid, uint64_t id, const char *reason);

#endif
