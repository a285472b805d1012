/* SPDX-License-Identifier: MIT */
/*
 * `apply --save FILE` and `apply --undo FILE`: what options were before they were set, in a JSON
 * file, and setting them back.
 */
#ifndef SOCKTUNE_APPLY_UNDO_H
#define SOCKTUNE_APPLY_UNDO_H

#include "describe.h"
#include "process_sockets.h"
#include "reconcile.h"

#include <jansson.h>

/* Note what `changes` says was set on a socket, in `undo`, an array. */
void undo_note(json_t *undo, const struct policy *policy, const struct process *process,
               const struct open_socket *socket, const struct socket_description *description,
               const struct reconciled_socket *changes);

/* Before anything is set: see that the notes can be written, and that no earlier notes would be
 * lost. Returns 0, or an exit status after a message. */
int undo_prepare(const char *path);

/* Write the notes to a file. Returns 0, or an exit status after a message. */
int undo_save(json_t *undo, const char *path);

/*
 * Set the options of a file back, each if the socket is still there and the option still has the
 * value that it was given. Prints each. Returns an exit status: 1 if one could not be set back, or
 * if all of them were left alone.
 */
int undo_run(const char *path);

#endif
