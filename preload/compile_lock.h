/* SPDX-License-Identifier: MIT */
/*
 * One compiler at a time for the rules at a path, on the whole machine: a flock(2) on that path
 * itself, which everybody can take who can read the rules.
 */
#ifndef SOCKTUNE_COMPILE_LOCK_H
#define SOCKTUNE_COMPILE_LOCK_H

#include <stdint.h>

/*
 * Take the lock; waits for two seconds at most. Returns NULL with the descriptor that holds it in
 * `*lock`; or why not, a static phrase. Another user may hold the lock for ever: root then goes on
 * without it (`*lock` is -1), so that nobody keeps root's rules from being compiled. For the
 * constructor alone. Changes errno.
 */
const char *compile_lock(const char *path, uint32_t uid, int *lock);

/* Give it back; -1: nothing to do. */
void compile_unlock(int lock);

#endif
