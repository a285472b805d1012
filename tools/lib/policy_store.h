/* SPDX-License-Identifier: MIT */
/*
 * Where compiled policies are kept: beside their rules, or, for a user who may not write there, in
 * that user's cache.
 */
#ifndef SOCKTUNE_POLICY_STORE_H
#define SOCKTUNE_POLICY_STORE_H

#include "rules_file.h"

/* RULES.policy, absolute and malloc()ed; NULL with errno. */
char *policy_beside(const char *rules);

/*
 * Keep a compiled policy at `path` by policy_write(), unless the same bytes stand there already: an
 * unneeded write would wear out a disk and race with readers. Returns 0, or -1 with errno.
 */
int policy_keep(const char *path, const struct loaded *loaded);

/*
 * Store the policy of the rules at `rules` so that a program finds it at its start. Returns what
 * SOCKTUNE_RULES is to say, malloc()ed: the absolute path of the rules, with the policy beside
 * them; or that of a policy in $XDG_CACHE_HOME/socktune or ~/.cache/socktune, which is made for
 * its user alone. If neither can be written, the rules: the library compiles them itself. NULL
 * with errno when memory ends.
 */
char *policy_store(const char *rules, const struct loaded *loaded);

#endif
