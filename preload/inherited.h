/* SPDX-License-Identifier: MIT */
/*
 * Sockets that the object did not see being made, because the program was started with them:
 * listeners passed by a parent or by systemd (LISTEN_FDS), a connection on descriptor 0 (inetd).
 */
#ifndef SOCKTUNE_ADOPT_H
#define SOCKTUNE_ADOPT_H

/* Give every open socket of the process what the rules say, as far as it is not too late for it.
 * For the constructor alone. Changes errno. */
void adopt_sockets(void);

/* Give a just accepted socket all that the rules say, also what it would have from its listener
 * had that been tuned when it connected. Async-signal-safe. Changes errno. */
void adopt_accepted(int fd);

#endif
