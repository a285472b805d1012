/* SPDX-License-Identifier: MIT */
/*
 * Is a compiled policy still that of its sources?
 */
#ifndef SOCKTUNE_POLICY_FRESH_H
#define SOCKTUNE_POLICY_FRESH_H

#include "policy.h"

struct statx;

/*
 * Compare the policy's sources with the files as they are. `root` is the status of the rules' path,
 * asked for by the name that this process knows it by. Equal stamps cost a statx(2) a source. Where
 * they differ (cp -a, rsync, the layers of an image), the content is read and its hash decides.
 * A source inside a directory that this process may not search is taken for unchanged: the policy
 * of its owner stands. Changes errno.
 */
bool policy_is_fresh(const struct policy *policy, const struct statx *root);

#endif
