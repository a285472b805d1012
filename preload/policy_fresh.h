/* SPDX-License-Identifier: MIT */
/*
 * Whether a compiled policy is still up to date with its sources.
 */
#ifndef SOCKTUNE_POLICY_FRESH_H
#define SOCKTUNE_POLICY_FRESH_H

#include "policy.h"

struct statx;

/*
 * Compare the policy's sources with the files. `root` is the status of the rules' path as this
 * process names it. Equal stamps cost one statx(2) per source. If stamps differ (cp -a, rsync,
 * image layers), the content is read and its hash decides. A source in a directory that this
 * process may not search counts as unchanged. Changes errno.
 */
bool policy_is_fresh(const struct policy *policy, const struct statx *root);

#endif
