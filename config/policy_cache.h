/* SPDX-License-Identifier: MIT */
/*
 * Keeping compiled policies where the library looks for them (policy_place.h).
 */
#ifndef SOCKTUNE_POLICY_CACHE_H
#define SOCKTUNE_POLICY_CACHE_H

#include "policy_file.h"

/* RULES.policy, absolute and malloc()ed; NULL with errno. */
char *policy_beside(const char *rules);

/*
 * Keep a policy at `path` by write_file(), unless the same bytes stand there already: an unneeded
 * write would wear out a disk and race with readers. Returns 0, or -1 with errno.
 */
int policy_keep(const char *path, const void *blob, size_t size);

/*
 * Keep the policy of `rules` (absolute) in the first cache of this process's user that can be
 * written: /var/cache/socktune for root; $XDG_CACHE_HOME/socktune or ~/.cache/socktune for others;
 * else /tmp/.socktune-UID. A policy beside the rules is brought up to date too, if there is one and
 * this user may write it. Returns 0, or -1 with errno if no cache can be written.
 */
int policy_cache_keep(const char *rules, const void *blob, size_t size);

/*
 * The policy of `rules` that was kept last, fresh or not: the last good rules, while those at
 * `rules` cannot be compiled. False if there is none. Release with loaded_free().
 */
bool policy_cache_last(const char *rules, struct loaded *loaded);

#endif
