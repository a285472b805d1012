/* SPDX-License-Identifier: MIT */
/*
 * Taking defaults: what the kernel and the rules give a socket that no program has touched.
 *
 * Makes sockets, and so system calls (kernel.h). Changes errno.
 */
#ifndef SOCKTUNE_TAKE_DEFAULTS_H
#define SOCKTUNE_TAKE_DEFAULTS_H

#include "apply.h"

/* The families (enum family_bit) of active rules that have a `default` for a phase later than
 * socket(); 0: nothing is to be compared. */
unsigned defaults_families(const struct policy *policy, const struct active *active);

/*
 * Make a socket of each kind of these families, in this network namespace, carry out the active
 * rules' actions of socket() on it, note its options in defaults[kind * option_count + option],
 * which are zero before, and close it.
 */
void defaults_take(const struct policy *policy, const struct active *active, unsigned families,
                   struct default_value *defaults);

/*
 * Make a socket like that of the application, and carry out on it what its active rules give at
 * socket(). False if none can be made; else `fresh` is to be dropped (socket_ops.h). The rules are
 * carried out without the program's part, so this is what it would have, had the program set
 * nothing.
 */
bool defaults_make_fresh(const struct application *application, struct socket_handle *fresh);

/* For struct application: the value of one option of such a socket. */
bool defaults_fresh_value(const struct application *application, uint32_t option,
                          struct default_value *value);

#endif
