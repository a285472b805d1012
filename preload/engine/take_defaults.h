/* SPDX-License-Identifier: MIT */
/*
 * Reads defaults: what the kernel and the rules set on a socket that no program has changed.
 *
 * Creates sockets by system calls (kernel.h). Changes errno.
 */
#ifndef SOCKTUNE_TAKE_DEFAULTS_H
#define SOCKTUNE_TAKE_DEFAULTS_H

#include "apply.h"

/* Returns the families (enum family_bit) of active rules that have a `default` for a phase later
 * than socket(); 0: no comparison is needed. */
unsigned defaults_families(const struct policy *policy, const struct active *active);

/*
 * Create a socket of each kind of these families, in this network namespace; carry out the active
 * rules' actions of socket() on it; read its options into defaults[kind * option_count + option],
 * which must be zero before; and close it.
 */
void defaults_take(const struct policy *policy, const struct active *active, unsigned families,
                   struct default_value *defaults);

/*
 * Create a socket like that of the application, and carry out what its active rules set at
 * socket(). So `fresh` has the values as if the program had set nothing. False if that fails;
 * otherwise release `fresh` with `drop` (socket_ops.h).
 */
bool defaults_make_fresh(const struct application *application, struct socket_handle *fresh);

/* The fresh_value callback of struct application: the value of one option of such a socket. */
bool defaults_fresh_value(const struct application *application, uint32_t option,
                          struct default_value *value);

#endif
