/* SPDX-License-Identifier: MIT */
/*
 * Bounds: what at_least and at_most say about a value. Pure; async-signal-safe.
 */
#ifndef SOCKTUNE_BOUND_H
#define SOCKTUNE_BOUND_H

#include "policy.h"

/* Does a value keep within the bound `action`? `bytes` are what a program passes to setsockopt().
 * False for a value that is no number, and for a negative one, by which some options mean the
 * system's default: then the bound is given in its place. */
bool bound_admits_own(const struct policy *policy, const struct policy_action *action,
                      const void *bytes, uint32_t length);

/* Does the backlog that a program passes to listen() keep within the bound? False if `action` is no
 * bound. */
bool bound_admits_backlog(const struct policy *policy, const struct policy_action *action,
                          int backlog);

/* The same for what getsockopt() answers, which is twice as much for a buffer. */
bool bound_admits_told(const struct policy *policy, const struct policy_action *action,
                       const void *bytes, uint32_t length);

#endif
