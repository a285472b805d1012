/* SPDX-License-Identifier: MIT */
/*
 * Baselines: what the kernel says of the options of a socket that nobody has touched. A `default`
 * compares with them to tell whether the program has set an option itself.
 *
 * Nothing here has state. System calls on the socket alone, by kernel.h; async-signal-safe; changes
 * errno.
 */
#ifndef SOCKTUNE_BASELINE_H
#define SOCKTUNE_BASELINE_H

#include "match.h"

/* The longest options that are compared are names: TCP_CONGESTION, SO_BINDTODEVICE. */
#define BASELINE_BYTES 16u

/* What getsockopt() said of one option. */
struct baseline {
    uint8_t length; /* 0: not known */
    uint8_t bytes[BASELINE_BYTES];
};

/* The kinds of socket whose options have values of their own: family by family, stream before
 * datagram. */
enum { BASELINE_KINDS = 6 };

/* Which kind a socket is of: 0 .. BASELINE_KINDS - 1. What the subject leaves open (it knows no
 * more than matching asked for) the socket is asked for. */
unsigned baseline_kind(int fd, const struct subject *subject);

/* Note the policy's options of `fd` in baselines[option]. */
void baseline_note(int fd, const struct policy *policy, struct baseline *baselines);

/* The families (enum family_bit) of active rules that have a `default` for a moment later than
 * socket(); 0: nothing is to be compared. */
unsigned baseline_families(const struct policy *policy, const struct active *active);

/*
 * Make a socket of each kind of these families, in this network namespace, carry out the active
 * rules' actions of socket() on it, note its options in baselines[kind * option_count + option],
 * which are zero before, and close it.
 */
void baseline_take(const struct policy *policy, const struct active *active, unsigned families,
                   struct baseline *baselines);

/* Has an option the value it had when it was noted? */
enum baseline_comparison { BASELINE_SAME, BASELINE_DIFFERS, BASELINE_UNKNOWN };
enum baseline_comparison baseline_compare(int fd, const struct policy_option *option,
                                          const struct baseline *baseline);

#endif
