/* SPDX-License-Identifier: MIT */
/*
 * One compiler at a time for the rules at a path, on the whole machine: a flock(2) on that path
 * itself. Everybody who can read the rules can take it.
 */
#ifndef SOCKTUNE_COMPILE_LOCK_H
#define SOCKTUNE_COMPILE_LOCK_H

#include <stdint.h>

/*
 * Take the lock; waits for two seconds at most. Returns NULL on success, with the descriptor that
 * holds the lock in `*lock`; otherwise a static phrase that says why not. Another user may hold the
 * lock for ever, so root goes on without it (returns NULL, `*lock` is -1). Only for the
 * constructor. Changes errno.
 */
const char *compile_lock(const char *path, uint32_t uid, int *lock);

/* Release the lock. Does nothing for -1. */
void compile_unlock(int lock);

#endif
