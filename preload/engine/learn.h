/* SPDX-License-Identifier: MIT */
/*
 * Asks the kernel for facts about a socket that the call's arguments do not contain.
 */
#ifndef SOCKTUNE_LEARN_H
#define SOCKTUNE_LEARN_H

#include "match.h"
#include "socket_ops.h"

/*
 * Read the `wanted` facts of `socket` into a sockinfo, in a call at `phase`: one system call for
 * each fact, but three for the protocol. Facts that cannot be read are marked unavailable, so
 * asking again ends. Changes errno. Async-signal-safe.
 */
void learn_facts(const struct socket_handle *socket, struct sockinfo *sockinfo, unsigned wanted,
                 enum phase phase);

/* match_rules(), reading the facts that it needs. `sockinfo` is that of a call at `phase`. Changes
 * errno. Async-signal-safe. */
void learn_decision(const struct policy *policy, const struct active *active,
                    const struct socket_handle *socket, struct sockinfo *sockinfo, enum phase phase,
                    unsigned phases, struct decision *decision);

/*
 * Whether and how a rule guards the program's setsockopt() of policy->options[option] on this
 * socket. An option is guarded only after the socket has reached a call at which the rule sets it:
 * an earlier setsockopt() does no harm, and a value that the rule never replaces must stay. The
 * facts found are left in `sockinfo`. If `socket` is no socket, the kernel refuses the call.
 * Changes errno. Async-signal-safe.
 */
bool learn_guard(const struct policy *policy, const struct active *active,
                 const struct socket_handle *socket, uint32_t option, struct sockinfo *sockinfo,
                 struct guard *guard);

/* match_report(), reading the facts that it needs. Returns the number of the reporting rule, or
 * NO_REPORT. Changes errno. Async-signal-safe. */
uint32_t learn_report(const struct policy *policy, const struct active *active,
                      const struct socket_handle *socket, struct sockinfo *sockinfo,
                      enum phase phase);

/* True if the socket's TCP connection is in progress or established, or was. False also for other
 * sockets. One system call. */
bool learn_has_connected(const struct socket_handle *socket);

/*
 * Find out from the kernel alone what a socket of unknown history is: family, protocol, and the
 * role by its state. A connected TCP socket reveals whether it connected or was accepted: the SYN
 * of the connecting side counts in tcpi_bytes_acked, that of the accepting side does not
 * (net/ipv4/tcp_minisocks.c: a child starts with snd_una behind its SYN). If the role is ambiguous,
 * it is marked unavailable. Returns false if it is no socket that socktune handles. Changes errno.
 */
bool learn_history(const struct socket_handle *socket, struct sockinfo *sockinfo);

#endif
