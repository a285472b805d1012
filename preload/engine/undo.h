/* SPDX-License-Identifier: MIT */
/*
 * Sockets that are used again for another peer.
 *
 * Nothing here has state. It reaches the socket through its operations alone; async-signal-safe;
 * changes errno.
 */
#ifndef SOCKTUNE_UNDO_H
#define SOCKTUNE_UNDO_H

#include "apply.h"

/* What is known of a socket's past. Two sets, in which many share a bit: they may say
 * more than what was, so the value itself decides in the end. */
struct undo_notes {
    uint32_t given; /* actions that were carried out at connect() */
    uint32_t own;   /* options that the program has set itself */
};

/* Of an option, or of an action: by what it is, since its index in other rules is another. Pure. */
uint32_t undo_bit_of_option(const struct policy *policy, uint32_t option);
uint32_t undo_bit_of_action(const struct policy *policy, uint32_t index);

/* The actions of the decision that are carried out at connect(), for undo_notes.given. */
uint32_t undo_given(const struct policy *policy, const struct decision *decision);

/*
 * Before connect() to another peer than before: an option that a rule on the former peer gave the
 * socket, and that `decision` does not give it now, gets the value back that it had after socket();
 * an address that came from another rule's `source` is given up. An option that has no longer the
 * rule's value, or that the program has set itself, stays; and so does OPTION_UNTOLD.
 *
 * Of `application`, policy, active, sockinfo and socket are used.
 */
void undo_former_peer(const struct application *application, const struct decision *decision,
                      const struct undo_notes *notes);

#endif
