/* SPDX-License-Identifier: MIT */
/*
 * Selects the arm of a trial for a connection. Pure functions, so everyone with the same rules gets
 * the same result: the preloaded object, the helper that compares the arms, and all machines with
 * the same file. Nothing is stored. Async-signal-safe.
 *
 * Either each connection gets its own arm: a hash of the seed and the socket's cookie falls into
 * the share of one arm. Or all connections that begin in the same time interval get the same arm (a
 * switchback): as many intervals as there are arms form a block. A block has each arm once, in an
 * order that is a hash of the seed and the block's number.
 */
#ifndef SOCKTUNE_TRIAL_H
#define SOCKTUNE_TRIAL_H

#include "sockinfo.h"

/* A hash of both numbers: each bit of the result depends on every bit of the arguments. */
uint64_t trial_hash(uint64_t seed, uint64_t number);

/* The arm of all connections that begin in this interval. `arms` is from 1 to
 * POLICY_TRIAL_ARMS_MAX. */
unsigned trial_arm_of_interval(uint64_t seed, unsigned arms, uint64_t interval);

/* The facts (enum fact_bit) still needed to decide whether the sockinfo is in the arm. */
uint32_t trial_missing(const struct policy_trial *arm, const struct sockinfo *sockinfo);

/* True if the sockinfo is in this arm; trial_missing() must be 0. After the trial has ended, every
 * connection is in the control arm. */
bool trial_is_in(const struct policy_trial *arm, const struct sockinfo *sockinfo);

#endif
