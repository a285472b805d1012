/* SPDX-License-Identifier: MIT */
/*
 * Defaults: what the kernel says of the options of a socket that nobody has touched. A `default`
 * compares with them to tell whether the program has set an option itself.
 *
 * Nothing here has state. It reads the socket through its operations; async-signal-safe; changes
 * errno.
 */
#ifndef SOCKTUNE_DEFAULTS_H
#define SOCKTUNE_DEFAULTS_H

#include "match.h"
#include "socket_ops.h"

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
unsigned defaults_kind(const struct socket_handle *socket, const struct sockinfo *sockinfo);

/* Note the policy's options of `socket` in defaults[option]. */
void defaults_note(const struct socket_handle *socket, const struct policy *policy,
                   struct default_value *defaults);

/* Note one option alone. False if it cannot be read. */
bool defaults_note_one(const struct socket_handle *socket, const struct policy_option *option,
                       struct default_value *value);

/* SO_SNDBUF or SO_RCVBUF, by either of its names: the kernel tells its value doubled. Pure. */
bool defaults_is_buffer(const struct policy_option *option);

/* Has an option the value it had when it was noted? */
enum default_comparison { DEFAULT_SAME, DEFAULT_DIFFERS, DEFAULT_UNKNOWN };
enum default_comparison defaults_compare(const struct socket_handle *socket,
                                         const struct policy_option *option,
                                         const struct default_value *default_value);

#endif
