/* SPDX-License-Identifier: MIT */
/*
 * Asking the kernel for the facts about a socket that a call does not tell.
 */
#ifndef SOCKTUNE_LEARN_H
#define SOCKTUNE_LEARN_H

#include "match.h"
#include "socket_ops.h"

/*
 * Obtain the `wanted` facts of `socket` for a sockinfo in a call at `phase`, one system call for
 * each but three for the protocol. What cannot be had is marked unavailable, so that asking again
 * ends. Changes errno. Async-signal-safe.
 */
void learn_facts(const struct socket_handle *socket, struct sockinfo *sockinfo, unsigned wanted,
                 enum phase phase);

/* match_rules() with the facts that it asks for, for a sockinfo in a call at `phase`. Changes
 * errno. Async-signal-safe. */
void learn_decision(const struct policy *policy, const struct active *active,
                    const struct socket_handle *socket, struct sockinfo *sockinfo, enum phase phase,
                    unsigned phases, struct decision *decision);

/*
 * Is the program's own setting of policy->options[option] on this socket guarded by a rule, and
 * how? An option is held only on a socket that has reached a call at which it is given: before
 * that, the program's setting does no harm, and where it is never given, nothing may be taken away.
 * What is learnt of the socket is left in `sockinfo`. What is no socket is left to the kernel to
 * refuse. Changes errno. Async-signal-safe.
 */
bool learn_guard(const struct policy *policy, const struct active *active,
                 const struct socket_handle *socket, uint32_t option, struct sockinfo *sockinfo,
                 struct guard *guard);

/* match_report() with the facts that it asks for: the number of the reporting rule, or NO_REPORT.
 * Changes errno. Async-signal-safe. */
uint32_t learn_report(const struct policy *policy, const struct active *active,
                      const struct socket_handle *socket, struct sockinfo *sockinfo,
                      enum phase phase);

/* Is a TCP connection of this socket under way or established, or has it been? False also for what
 * is no TCP socket. One system call. */
bool learn_has_connected(const struct socket_handle *socket);

/*
 * What a socket of unknown history is, from the kernel's word alone: family, protocol, and the
 * role by its state. A connected TCP socket tells whether it connected or was accepted: the SYN of
 * the connecting side counts in tcpi_bytes_acked, that of the accepting side does not
 * (net/ipv4/tcp_minisocks.c: a child starts with snd_una behind its SYN). Where the role stays
 * open, it is marked unavailable. Returns false if it is no socket that concerns us. Changes
 * errno.
 */
bool learn_history(const struct socket_handle *socket, struct sockinfo *sockinfo);

#endif
