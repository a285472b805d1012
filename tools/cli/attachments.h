/* SPDX-License-Identifier: MIT */
/*
 * Finds out whether a process is in a cgroup that `socktune attach` has attached rules to.
 */
#ifndef SOCKTUNE_ATTACHMENTS_H
#define SOCKTUNE_ATTACHMENTS_H

#include "attach.h"

/* The attachments of this machine. */
struct attachments {
    struct attach_state *states;
    size_t count;
};

/* Read them; without the privileges of `attach` the list is empty. Release with
 * attachments_free(). */
void attachments_read(struct attachments *attachments);
void attachments_free(struct attachments *attachments);

/* The attachment to the cgroup (a path in the version 2 hierarchy, or NULL) or to its nearest
 * ancestor; NULL if none is attached. */
const struct attach_state *attachments_find(const struct attachments *attachments,
                                            const char *cgroup);

#endif
