/* SPDX-License-Identifier: MIT */
/*
 * One command at a time changes what is attached.
 */
#ifndef SOCKTUNE_ATTACH_LOCK_H
#define SOCKTUNE_ATTACH_LOCK_H

#include "cgroup_find.h"

/* Take the lock; wait at most 30 seconds for it. Returns a descriptor for attach_unlock(), or -1
 * with `error`. A process that ends releases the lock. */
int attach_lock(const struct attach_cgroup *cgroup, struct attach_error *error);

void attach_unlock(int lock);

#endif
