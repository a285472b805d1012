/* SPDX-License-Identifier: MIT */
/*
 * Notes per descriptor: whether it has been connected or reported before, and which options it got
 * then. Asking the socket takes a system call, which only the second connect() of a descriptor
 * should cost. The notes may be out of date (a descriptor may be closed and used again without our
 * knowledge). So options never depend on the notes alone. Reports may: if the program receives,
 * over a Unix socket, a listener that is MPTCP or in another network namespace, and it gets the
 * number of an older listener, then the old note is used.
 *
 * Async-signal-safe and thread-safe, without a lock. A forked child has its own copy.
 */
#ifndef SOCKTUNE_RECONNECT_H
#define SOCKTUNE_RECONNECT_H

#include "undo.h"

/* Only for the constructor, if connect() is tuned or sockets are reported. Without it, or without
 * memory, every socket has to be asked. Changes errno. */
void reconnect_start(void);

/* Note that `fd` is being connected. Returns true if it may have been connected before. */
bool reconnect_note(int fd);

/* Note that the datagram socket `fd` is being reported. Returns true if it may have been reported
 * before, or if it cannot be noted. */
bool reconnect_note_reported(int fd);

/* Note that `fd` belongs to the network namespace whose sockets are reported, and read that
 * note. */
void reconnect_note_at_home(int fd);
bool reconnect_is_at_home(int fd);

/* Note that `fd` is a listener of plain TCP, and read that note. */
void reconnect_note_accepts_tcp(int fd);
bool reconnect_accepts_tcp(int fd);

/* Note that a rule's `transport` created `fd`, and read that note. */
void reconnect_note_transport(int fd);
bool reconnect_has_transport(int fd);

/* Note the actions carried out on `fd` at connect(): undo_given() (undo.h). */
void reconnect_note_given(int fd, uint32_t given);

/* Note that the program sets policy->options[option] on `fd` itself. */
void reconnect_note_own(int fd, const struct policy *policy, uint32_t option);

struct undo_notes reconnect_notes(int fd);

/* Delete the notes: socket() or accept() has just created `fd`. */
void reconnect_forget(int fd);

#endif
