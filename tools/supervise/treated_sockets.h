/* SPDX-License-Identifier: MIT */
/*
 * Accepted sockets that have been given their options, by cookie (SO_COOKIE), so that an option is
 * given once and a later value of the program stands. Shared by the supervisor and its standby.
 *
 * The memory is bounded: a socket may be forgotten once TREATED_MAX others have been accepted.
 * Thread-safe.
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

/* A cookie of 0 is unknown and never there. */
bool treated_sockets_has(const struct treated_sockets *treated, uint64_t cookie);

/*
 * Begin to give a socket its options. False if it has got them; else the caller gives them and
 * then calls treated_sockets_end(). Waits for another thread that is giving them, so that no call
 * of the program goes on between.
 */
bool treated_sockets_begin(struct treated_sockets *treated, uint64_t cookie);
void treated_sockets_end(struct treated_sockets *treated, uint64_t cookie);

/* In a forked child: no thread is left that could be giving options. */
void treated_sockets_fork(void);

#endif
