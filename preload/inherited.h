/* SPDX-License-Identifier: MIT */
/*
 * Sockets that exist when the program starts: listeners passed by a parent or by systemd
 * (LISTEN_FDS), or a connection on descriptor 0 (inetd).
 */
#ifndef SOCKTUNE_ADOPT_H
#define SOCKTUNE_ADOPT_H

#include "state.h"

/*
 * Tune the inherited sockets, as far as it is not too late for an option. Sockets handed over on
 * purpose are the descriptors below `handed_over` (handed_over.h). Sockets that leaked from the
 * parent are tuned by rules with `inherited = true`, and reported if `reported` says that some rule
 * reports. Only for the constructor, never under AT_SECURE. Changes errno.
 */
void inherited_tune_sockets(int handed_over, bool reported);

/* Apply all rules to a socket just accepted, including options that it would have inherited if its
 * listener had been tuned in time. Async-signal-safe. Changes errno. */
void inherited_tune_accepted(const struct rules_in_force *rules, int fd);

/* Apply new rules to a listener. Async-signal-safe. Changes errno. */
void inherited_tune_listener(const struct rules_in_force *rules, int fd);

#endif
