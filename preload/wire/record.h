/* SPDX-License-Identifier: MIT */
/*
 * Makes a record (ring.h) of a socket from the rules and the socket itself. The preloaded object
 * makes records inside the program, the supervisor on behalf of its programs.
 */
#ifndef SOCKTUNE_RECORD_H
#define SOCKTUNE_RECORD_H

#include "match.h"
#include "ring.h"

/* `default` kept the option's value: it counts neither as applied nor as failed. */
#define RECORD_KEPT 0xffffu

/* The input for records. Nothing is owned; policy and rules must not change. */
struct record_maker {
    const struct policy *policy;
    const struct active *active;
    /* By option of the policy: the last result of setting it: 0, errno, or RECORD_KEPT. Read
     * atomically: other threads may write. */
    const uint16_t *results;
    /* The registration names only the first so many of the rules that report. */
    uint32_t rules_named;
};

/* Returns the roles (enum role_bit) of the sockets that some active rule reports; 0: none. Pure. */
unsigned record_roles(const struct policy *policy, const struct active *active);

/*
 * Fill `record` for the socket `fd`, whose call has just returned. The caller has zeroed the
 * record, set `kind`, `pid`, `time_ns` and `flags`, and may have set `cookie`. `sockinfo` is what
 * is known about the socket; missing facts are read from the kernel and added. `decided` is the
 * decision of the rules for all of sockinfo_phases_behind(); NULL: it is made here. False if no
 * rule reports the socket, or if the helper cannot inspect it (it is not TCP, MPTCP or UDP). A UDP
 * socket becomes a RECORD_DATAGRAM, unless the call on it failed. Changes errno. Async-signal-safe,
 * thread-safe.
 */
bool record_fill(const struct record_maker *maker, int fd, struct sockinfo *sockinfo,
                 const struct decision *decided, struct record *record);

/*
 * The same before connect(), without options and without the local end. Makes one system call, for
 * the cookie; pass the cookie to record_fill(), which then does not make it again. False also for a
 * UDP socket, and if a rule that reports depends on the local end, which is still unknown.
 */
bool record_fill_begun(const struct record_maker *maker, int fd, struct sockinfo *sockinfo,
                       struct record *record);

/*
 * The same for a socket of which everything is known: type, role and both addresses in `sockinfo`;
 * `cookie`, `interface` and `protocol` in `record`. Makes no system call.
 */
bool record_fill_known(const struct record_maker *maker, struct sockinfo *sockinfo,
                       struct record *record);

/* Returns the rule that a record names, or NULL. Pure. */
const struct policy_rule *record_rule(const struct record_maker *maker,
                                      const struct record *record);

#endif
