/* SPDX-License-Identifier: MIT */
/*
 * Which rules a listener was tuned by. Accepted sockets inherit most options from it. After new
 * rules come into force, the next accept() tunes the listener by them, and the connections that are
 * in its queue at that time are tuned one by one.
 *
 * Only used in programs that take new rules while they run. Async-signal-safe, thread-safe.
 */
#ifndef SOCKTUNE_LISTENERS_H
#define SOCKTUNE_LISTENERS_H

#include "state.h"

/* Allocate the table. Only for the constructor. Changes errno. */
void listeners_start(void);

/* Note that `fd` listens and was tuned by these rules. */
void listener_note(int fd, const struct rules_in_force *rules);

/* True if the connection just accepted from `listener` may have been established before the
 * listener was tuned by these rules. Tunes the listener by them, if that has not been done. Changes
 * errno. */
bool listener_is_older(int listener, const struct rules_in_force *rules);

#endif
