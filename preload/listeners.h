/* SPDX-License-Identifier: MIT */
/*
 * By which rules a listener was tuned. What is accepted from it has most options from the listener,
 * so after new rules came into force, the listener is given them at the next accept(), and the
 * connections that waited in its queue by then are given all that the rules say.
 *
 * Only in programs that take new rules while they run. Async-signal-safe, thread-safe.
 */
#ifndef SOCKTUNE_LISTENERS_H
#define SOCKTUNE_LISTENERS_H

#include "state.h"

/* Set memory aside. For the constructor. Changes errno. */
void listeners_start(void);

/* `fd` has begun to listen, and was tuned by these rules. */
void listener_note(int fd, const struct rules_in_force *rules);

/* Was the connection just accepted from `listener` made before that was tuned by these rules? Tunes
 * it by them, if it was not yet. Changes errno. */
bool listener_is_older(int listener, const struct rules_in_force *rules);

#endif
