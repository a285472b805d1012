/* SPDX-License-Identifier: MIT */
/*
 * `apply --save FILE` writes the previous values of options to a JSON file; `apply --undo FILE`
 * restores them.
 */
#ifndef SOCKTUNE_APPLY_UNDO_H
#define SOCKTUNE_APPLY_UNDO_H

#include "describe.h"
#include "process_sockets.h"
#include "reconcile.h"

#include <jansson.h>

/* Append the options that `changes` set on a socket to `undo`, an array. */
void undo_note(json_t *undo, const struct policy *policy, const struct process *process,
               const struct open_socket *socket, const struct socket_description *description,
               const struct reconciled_socket *changes);

/* Before any option is set: check that the notes can be written and that no earlier notes would be
 * lost. Returns 0, or an exit status after a message. */
int undo_prepare(const char *path);

/* Write the notes to a file. Returns 0, or an exit status after a message. */
int undo_save(json_t *undo, const char *path);

/*
 * Restore the options of a file, each if the socket still exists and the option still has the value
 * that was set. Prints each. Returns an exit status: 1 if an option could not be restored, or if
 * all were left alone.
 */
int undo_run(const char *path);

#endif
