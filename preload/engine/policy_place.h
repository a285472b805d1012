/* SPDX-License-Identifier: MIT */
/*
 * Where compiled policies of the rules at a path are kept. The library and the compiler build the
 * same names here. Pure, async-signal-safe.
 */
#ifndef SOCKTUNE_POLICY_PLACE_H
#define SOCKTUNE_POLICY_PLACE_H

#include "text.h"

/* In the order in which the library looks. */
enum policy_place {
    PLACE_BESIDE,    /* RULES.policy: `socktune compile` was asked for it */
    PLACE_SYSTEM,    /* /var/cache/socktune: root's, read by all */
    PLACE_USER,      /* $XDG_CACHE_HOME/socktune or ~/.cache/socktune; never root's */
    PLACE_TEMPORARY, /* /tmp/.socktune-UID: where a user has no home that can be written */
    PLACE_COUNT
};

/* Who looks, and what the environment of that process says. */
struct policy_owner {
    uint32_t uid;     /* effective */
    const char *home; /* HOME, or NULL */
    const char *xdg;  /* XDG_CACHE_HOME, or NULL */
};

/* Write the directory of the place, which is not PLACE_BESIDE. False where the owner has no such
 * place or the name is too long. */
bool policy_place_directory(struct text *path, enum policy_place place,
                            const struct policy_owner *owner);

/* Write the path of the policy of `rules`, an absolute path without slashes at its end
 * (PLACE_BESIDE takes a relative path too). False as above. */
bool policy_place_path(struct text *path, enum policy_place place, const struct policy_owner *owner,
                       const char *rules);

#endif
