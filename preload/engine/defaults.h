/* SPDX-License-Identifier: MIT */
/*
 * Defaults: the option values of a socket that nobody has changed. A `default` compares with them
 * to find out whether the program has set an option.
 *
 * Stateless. It reads the socket only through its operations. Async-signal-safe; changes errno.
 */
#ifndef SOCKTUNE_DEFAULTS_H
#define SOCKTUNE_DEFAULTS_H

#include "match.h"
#include "socket_ops.h"

/* The longest options that are compared are names: TCP_CONGESTION, SO_BINDTODEVICE. */
#define DEFAULT_BYTES 16u

/* The value of one option, from getsockopt(). */
struct default_value {
    uint8_t length; /* 0: unknown */
    uint8_t bytes[DEFAULT_BYTES];
};

/* Number of socket kinds that have their own default values: per family, stream before datagram. */
enum { DEFAULT_KINDS = 6 };

/* Returns the kind of a socket: 0 .. DEFAULT_KINDS - 1. The socket is asked for what the sockinfo
 * does not contain. */
unsigned defaults_kind(const struct socket_handle *socket, const struct sockinfo *sockinfo);

/* Read the policy's options of `socket` into defaults[option]. */
void defaults_note(const struct socket_handle *socket, const struct policy *policy,
                   struct default_value *defaults);

/* Read one option. False if it cannot be read. */
bool defaults_note_one(const struct socket_handle *socket, const struct policy_option *option,
                       struct default_value *value);

/* True for SO_SNDBUF, SO_RCVBUF and their FORCE variants: getsockopt() returns twice the value.
 * Pure. */
bool defaults_is_buffer(const struct policy_option *option);

/* Compare the option's current value with a value that was read before. */
enum default_comparison { DEFAULT_SAME, DEFAULT_DIFFERS, DEFAULT_UNKNOWN };
enum default_comparison defaults_compare(const struct socket_handle *socket,
                                         const struct policy_option *option,
                                         const struct default_value *default_value);

#endif
