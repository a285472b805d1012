/* SPDX-License-Identifier: MIT */
/*
 * Undoes a rule's options when a socket is connected to another peer.
 *
 * Stateless. It reaches the socket only through its operations. Async-signal-safe; changes errno.
 */
#ifndef SOCKTUNE_UNDO_H
#define SOCKTUNE_UNDO_H

#include "apply.h"

/* What is known about a socket's past: two sets of bits. Several items share a bit, so a set may
 * contain too much; the socket's value then decides. */
struct undo_notes {
    uint32_t given; /* actions that were carried out at connect() */
    uint32_t own;   /* options that the program has set itself */
};

/* The bit of an option or of an action. It depends on the content, since other rules have other
 * indices. Pure. */
uint32_t undo_bit_of_option(const struct policy *policy, uint32_t option);
uint32_t undo_bit_of_action(const struct policy *policy, uint32_t index);

/* The set of actions in the decision that are carried out at connect(), for undo_notes.given.
 * Pure. */
uint32_t undo_given(const struct policy *policy, const struct decision *decision);

/*
 * Call this before connect() to another peer. An option that a rule on the former peer set, and
 * that `decision` does not set now, gets the value that it had after socket(); an address from
 * another rule's `source` is removed. An option stays if it no longer has the rule's value, if the
 * program has set it itself, or if it is OPTION_NOT_READ_BACK.
 *
 * Uses policy, active, sockinfo and socket of `application`.
 */
void undo_former_peer(const struct application *application, const struct decision *decision,
                      const struct undo_notes *notes);

#endif
