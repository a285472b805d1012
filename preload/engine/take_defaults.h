/* SPDX-License-Identifier: MIT */
/*
 * Taking defaults: what the kernel and the rules give a socket that no program has touched.
 *
 * Makes sockets, and so system calls (kernel.h). Changes errno.
 */
#ifndef SOCKTUNE_TAKE_DEFAULTS_H
#define SOCKTUNE_TAKE_DEFAULTS_H

#include "defaults.h"

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

/* The same for one socket that has just been made, as sockinfo_at_socket() describes it: carry out
 * the actions of socket() on it, and note its options in defaults[option]. */
void defaults_take_socket(const struct policy *policy, const struct active *active,
                          const struct socket_handle *socket, struct sockinfo *sockinfo,
                          struct default_value *defaults);

#endif
