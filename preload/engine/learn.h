/* SPDX-License-Identifier: MIT */
/*
 * Asking the kernel for the facts about a socket that a call does not tell.
 */
#ifndef SOCKTUNE_LEARN_H
#define SOCKTUNE_LEARN_H

#include "match.h"

/*
 * Obtain the `wanted` facts of `fd` for a sockinfo in a call at `phase`, one system call for each
 * but three for the protocol. What cannot be had is marked unavailable, so that asking again ends.
 * Changes errno. Async-signal-safe.
 */
void learn(int fd, struct sockinfo *sockinfo, unsigned wanted, enum phase phase);

/* match_rules() with the facts that it asks for, for a sockinfo in a call at `phase`. Changes
 * errno. Async-signal-safe. */
void learn_decision(const struct policy *policy, const struct active *active, int fd,
                    struct sockinfo *sockinfo, enum phase phase, unsigned phases,
                    struct decision *decision);

/*
 * What a socket of unknown history is, from the kernel's word alone: family, protocol, and the
 * role by its state. A connected TCP socket tells whether it connected or was accepted: the SYN of
 * the connecting side counts in tcpi_bytes_acked, that of the accepting side does not
 * (net/ipv4/tcp_minisocks.c: a child starts with snd_una behind its SYN). Where the role stays
 * open, it is marked unavailable. Returns false if `fd` is no socket that concerns us. Changes
 * errno.
 */
bool learn_history(int fd, struct sockinfo *sockinfo);

/* The phases (PHASE_BIT()s) that lie behind a socket of such a history: it should have what is
 * given at any of them. Pure. */
unsigned phases_behind(const struct sockinfo *sockinfo);

/* True if it is known to have connected or to have been accepted: it is too late for OPTION_EARLY,
 * and SO_RCVBUF can clamp the window for good. Pure. */
bool is_connection(const struct sockinfo *sockinfo);

#endif
