/* SPDX-License-Identifier: MIT */
/*
 * Where compiled policies of the rules at a path are stored. Library and compiler build the same
 * names here. Pure, async-signal-safe.
 */
#ifndef SOCKTUNE_POLICY_PLACE_H
#define SOCKTUNE_POLICY_PLACE_H

#include "text.h"

/* In the order in which the library searches. */
enum policy_place {
    PLACE_BESIDE,    /* RULES.policy: written by `socktune compile` on request */
    PLACE_SYSTEM,    /* /var/cache/socktune: owned by root, readable for all */
    PLACE_USER,      /* $XDG_CACHE_HOME/socktune or ~/.cache/socktune; never for root */
    PLACE_TEMPORARY, /* /tmp/.socktune-UID: if a user has no writable home */
    PLACE_COUNT
};

/* The user who searches, and the environment of that process. */
struct policy_owner {
    uint32_t uid;     /* effective */
    const char *home; /* HOME, or NULL */
    const char *xdg;  /* XDG_CACHE_HOME, or NULL */
};

/* Write the directory of `place`, which is not PLACE_BESIDE. False if the owner has no such place
 * or the name is too long. */
bool policy_place_directory(struct text *path, enum policy_place place,
                            const struct policy_owner *owner);

/* Write the path of the policy of `rules`, an absolute path without slashes at its end
 * (PLACE_BESIDE takes a relative path too). False as above. */
bool policy_place_path(struct text *path, enum policy_place place, const struct policy_owner *owner,
                       const char *rules);

#endif
