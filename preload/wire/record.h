/* SPDX-License-Identifier: MIT */
/*
 * What is reported of a socket: a record (ring.h) made from the rules and the socket itself. The
 * preloaded object makes them in the program, the supervisor on behalf of its programs.
 */
#ifndef SOCKTUNE_RECORD_H
#define SOCKTUNE_RECORD_H

#include "match.h"
#include "ring.h"

/* `default` left the option alone: it counts neither as applied nor as failed. */
#define RECORD_KEPT 0xffffu

/* What records are made from. Borrowed; policy and rules do not change. */
struct record_maker {
    const struct policy *policy;
    const struct active *active;
    /* By option of the policy: what became of setting it last: 0, errno, or RECORD_KEPT. Read
     * atomically: other threads may be writing. */
    const uint16_t *results;
    /* The rules that the registration names: the first so many of those that report. */
    uint32_t rules_named;
};

/* The roles (enum role_bit) of the sockets that some active rule wants reported; 0: none. Pure. */
unsigned record_roles(const struct policy *policy, const struct active *active);

/*
 * Fill `record`, in which the caller has set `kind`, `pid`, `time_ns` and `flags`, and perhaps the
 * `cookie`, and the rest is zero, for the socket `fd`, whose call has just returned. `sockinfo` is
 * what is known about it; what else is needed is asked of the kernel, and added. `decided` is what
 * the rules gave it in its life up to here (at all of sockinfo_phases_behind()); NULL: it is
 * matched here. False: no rule wants it reported, or it is not of a kind that the helper can look
 * at (TCP, MPTCP, UDP). A UDP socket becomes a RECORD_DATAGRAM, unless the call on it failed.
 * Changes errno. Async-signal-safe, thread-safe.
 */
bool record_fill(const struct record_maker *maker, int fd, struct sockinfo *sockinfo,
                 const struct decision *decided, struct record *record);

/*
 * The same before connect() is called, without options and without the local end. One system call,
 * which record_fill() is spared if it is given the cookie. False also for a UDP socket, and where a
 * rule that reports asks for the local end, which is not there yet.
 */
bool record_fill_begun(const struct record_maker *maker, int fd, struct sockinfo *sockinfo,
                       struct record *record);

/*
 * The same for a socket of which everything is known already: type, role and both addresses in
 * `sockinfo`; `cookie`, `interface` and `protocol` in `record` besides. Makes no system call.
 */
bool record_fill_known(const struct record_maker *maker, struct sockinfo *sockinfo,
                       struct record *record);

/* The rule that a record names, or NULL. Pure. */
const struct policy_rule *record_rule(const struct record_maker *maker,
                                      const struct record *record);

#endif
