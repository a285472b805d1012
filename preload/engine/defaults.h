/* SPDX-License-Identifier: MIT */
/*
 * Defaults: what the kernel says of the options of a socket that nobody has touched. A `default`
 * compares with them to tell whether the program has set an option itself.
 *
 * Nothing here has state. System calls on the socket alone, by kernel.h; async-signal-safe; changes
 * errno.
 */
#ifndef SOCKTUNE_DEFAULTS_H
#define SOCKTUNE_DEFAULTS_H

#include "match.h"

/* The longest options that are compared are names: TCP_CONGESTION, SO_BINDTODEVICE. */
#define DEFAULT_BYTES 16u

/* What getsockopt() said of one option. */
struct default_value {
    uint8_t length; /* 0: not known */
    uint8_t bytes[DEFAULT_BYTES];
};

/* The kinds of socket whose options have values of their own: family by family, stream before
 * datagram. */
enum { DEFAULT_KINDS = 6 };

/* Which kind a socket is of: 0 .. DEFAULT_KINDS - 1. What the sockinfo leaves open (it knows no
 * more than matching asked for) the socket is asked for. */
unsigned defaults_kind(int fd, const struct sockinfo *sockinfo);

/* Note the policy's options of `fd` in defaults[option]. */
void defaults_note(int fd, const struct policy *policy, struct default_value *defaults);

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

/* Has an option the value it had when it was noted? */
enum default_comparison { DEFAULT_SAME, DEFAULT_DIFFERS, DEFAULT_UNKNOWN };
enum default_comparison defaults_compare(int fd, const struct policy_option *option,
                                         const struct default_value *default_value);

#endif
