/* SPDX-License-Identifier: MIT */
/*
 * Sockets that the object did not see being made, because the program was started with them:
 * listeners passed by a parent or by systemd (LISTEN_FDS), a connection on descriptor 0 (inetd).
 */
#ifndef SOCKTUNE_ADOPT_H
#define SOCKTUNE_ADOPT_H

#include "state.h"

/*
 * Give the sockets that were handed over on purpose, descriptors below `handed_over`
 * (handed_over.h), what the rules say, as far as it is not too late for it. Sockets that leaked
 * from the parent get what rules with `inherited = true` say, and are reported if `reported` says
 * that some rule reports. For the constructor alone, never under AT_SECURE. Changes errno.
 */
void adopt_sockets(int handed_over, bool reported);

/* Give a just accepted socket all that the rules say, also what it would have from its listener
 * had that been tuned when it connected. Async-signal-safe. Changes errno. */
void adopt_accepted(const struct rules_in_force *rules, int fd);

/* Give a listener what new rules say. Async-signal-safe. Changes errno. */
void adopt_listener(const struct rules_in_force *rules, int fd);

#endif
