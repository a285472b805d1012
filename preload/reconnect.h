/* SPDX-License-Identifier: MIT */
/*
 * Which descriptors have been connected or reported before, and what they were given then. Asking
 * the socket takes a system call, which only the second connect() of a descriptor is to cost. The
 * notes may be out of date (a descriptor may be closed and used again behind our back): what the
 * socket is given never depends on them alone. What is reported of it may: a listener that the
 * program received over a Unix socket under the number of another one, and that is of MPTCP or of
 * another network namespace, is taken for that other one.
 *
 * Async-signal-safe and thread-safe, without a lock. A forked child has its own copy.
 */
#ifndef SOCKTUNE_RECONNECT_H
#define SOCKTUNE_RECONNECT_H

#include "undo.h"

/* For the constructor, where connect() is tuned or sockets are reported. Without
 * it, and where memory ended, every socket has to be asked. Changes errno. */
void reconnect_start(void);

/* Note that `fd` is being connected. True if it may have been connected before. */
bool reconnect_note(int fd);

/* Note that `fd`, a datagram socket, is being reported. True if it may have been before, or if no
 * note of it can be kept. */
bool reconnect_note_reported(int fd);

/* Note that `fd` is of the network namespace whose sockets are reported, and ask for that note. */
void reconnect_note_at_home(int fd);
bool reconnect_is_at_home(int fd);

/* Note that `fd` is a listener of plain TCP, and ask for that note. */
void reconnect_note_accepts_tcp(int fd);
bool reconnect_accepts_tcp(int fd);

/* Note that a rule's `transport` has made `fd`, and ask for that note. */
void reconnect_note_transport(int fd);
bool reconnect_has_transport(int fd);

/* Note what it is given at connect(). */
void reconnect_note_given(int fd, uint32_t given);

/* The program sets policy->options[option] of `fd` itself. */
void reconnect_note_own(int fd, const struct policy *policy, uint32_t option);

struct undo_notes reconnect_notes(int fd);

/* socket() or accept() has just made `fd`. */
void reconnect_forget(int fd);

#endif
