/* SPDX-License-Identifier: MIT */
/*
 * Bounds (at_least, at_most) on a value. Pure; async-signal-safe.
 */
#ifndef SOCKTUNE_BOUND_H
#define SOCKTUNE_BOUND_H

#include "policy.h"

/* True if the value is within the bound `action`. `bytes` is what a program passes to setsockopt().
 * False for a value that is no number, and for a negative value, which for some options selects the
 * system's default: then the bound is set instead. */
bool bound_admits_own(const struct policy *policy, const struct policy_action *action,
                      const void *bytes, uint32_t length);

/* True if the backlog that a program passes to listen() is within the bound. False if `action` is
 * no bound. */
bool bound_admits_backlog(const struct policy *policy, const struct policy_action *action,
                          int backlog);

/* The same for a value from getsockopt(), which doubles buffer sizes. */
bool bound_admits_read_value(const struct policy *policy, const struct policy_action *action,
                             const void *bytes, uint32_t length);

#endif
