/* SPDX-License-Identifier: MIT */
/*
 * Which arm of a trial a connection gets. Pure functions, so that everybody who has the rules comes
 * to the same answer: the preloaded object in the program, the helper that compares the arms, and
 * all machines that have the same file. Nothing is stored. Async-signal-safe.
 *
 * Either each connection gets an arm by itself: a hash of the seed and the socket's cookie falls
 * into the share of one arm. Or all connections that begin in the same interval of time get the
 * same arm (a switchback): so many intervals as there are arms form a block, which has each arm
 * once, in an order that is a hash of the seed and the block's number.
 */
#ifndef SOCKTUNE_TRIAL_H
#define SOCKTUNE_TRIAL_H

#include "sockinfo.h"

/* A hash of both numbers: every bit of it depends on every bit of them. */
uint64_t trial_hash(uint64_t seed, uint64_t number);

/* The arm of all connections that begin in the interval of that number. `arms` is from 1 to
 * POLICY_TRIAL_ARMS_MAX. */
unsigned trial_arm_of_interval(uint64_t seed, unsigned arms, uint64_t interval);

/* The facts (enum fact_bit) that are still missing to tell whether the sockinfo is in the arm. */
uint32_t trial_missing(const struct policy_trial *arm, const struct sockinfo *sockinfo);

/* Is the sockinfo, of which nothing is missing, in this arm? When the trial is over, every
 * connection is in the control arm. */
bool trial_is_in(const struct policy_trial *arm, const struct sockinfo *sockinfo);

#endif
