/* SPDX-License-Identifier: MIT */
/*
 * Accepted sockets that have been given their options, by cookie (SO_COOKIE), so that an option is
 * given once and a later value of the program stands. Shared by the supervisor and its standby.
 *
 * The memory is bounded: a socket may be forgotten once TREATED_MAX others have been accepted.
 * Thread-safe, without locks.
 */
#ifndef SOCKTUNE_TREATED_SOCKETS_H
#define SOCKTUNE_TREATED_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#define TREATED_MAX (1u << 18)

struct treated_sockets {
    _Atomic bool multipath;                /* a listener of MPTCP has been seen */
    _Atomic uint64_t cookies[TREATED_MAX]; /* at cookie % TREATED_MAX; 0: none */
};

/* Shared memory, all zero. NULL with errno. */
struct treated_sockets *treated_sockets_make(void);

bool treated_sockets_has(const struct treated_sockets *treated, uint64_t cookie);

/* Returns true if the socket was not there yet: the caller treats it. A cookie of 0 is unknown and
 * always new. */
bool treated_sockets_add(struct treated_sockets *treated, uint64_t cookie);

#endif
