/* SPDX-License-Identifier: MIT */
/*
 * Reporting connections to the helper: registration, and a record for each connection, listener and
 * UDP socket.
 *
 * The functions for hooks keep errno, are async-signal-safe, thread-safe and fork-safe, and never
 * wait. They are to be called only where reports() says so.
 */
#ifndef SOCKTUNE_REPORT_H
#define SOCKTUNE_REPORT_H

#include "record.h"
#include "register.h"
#include "state.h"

/* How the sockets under some rules are reported. */
struct rules_report {
    struct record_maker maker;
    struct register_plan plan;
    uint64_t names; /* a hash of the names in the plan, which records refer to */
    /* By option of the policy: what report_option() was told last. */
    uint16_t results[POLICY_OPTIONS_MAX];
};

/* May an active rule want sockets of one of these roles (enum role_bit) reported? The hooks' first
 * question; after rules_enter(), rules->reports has the answer. */
static inline bool reports(unsigned roles)
{
    return __builtin_expect((state.reports & roles) != 0, 0);
}

/*
 * If an active rule of state.rules has `report = true`, or if the program takes new rules (`live`
 * is not NULL), prepare for it and register with the helper, if there is one. Sets the report and
 * reports of state.rules. For the constructor alone. Changes errno.
 */
void report_start(const struct helper_environment *environment, const struct register_live *live);

/* Fill rules->report and rules->reports of new rules. Makes no system call. */
void report_prepare(struct rules_in_force *rules, const struct register_live *live);

/* In a program that takes new rules: register again, if that is due. Keeps errno. */
void report_stay_registered(const struct rules_in_force *rules);

/* socket() has just made `fd`; or it failed. The first time in each process that costs a system
 * call. Keeps errno. */
void report_made(int fd);

/* Is what this listener accepts known to be of plain TCP, in the network namespace whose sockets
 * are reported? Keeps errno. */
bool report_knows_listener(int listener);

/* connect() is about to be called, and may block for long: `sockinfo` as it is by then, to which
 * facts are added. Returns the socket's cookie if it was reported and so asked for, else 0. Changes
 * errno. */
uint64_t report_connecting(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo);
/* connect() has returned: `sockinfo` as it was before the call, to which facts are added, what was
 * decided for all phases up to PHASE_CONNECTED, the cookie if it is known, and the call's error; 0:
 * it succeeded or is under way. */
void report_connect(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                    const struct decision *decided, uint64_t cookie, int error);
/* The same of accept(), with what was decided for sockinfo_phases_behind(), or NULL. */
void report_accept(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                   const struct decision *decided);
/* listen() has succeeded. */
void report_listen(const struct rules_in_force *rules, int fd);
/* bind() to this address has succeeded. Of other sockets than those of UDP nothing is reported. */
void report_bound(const struct rules_in_force *rules, int fd, const struct sockaddr *address,
                  socklen_t length);
/* Something was sent without connect() or MSG_FASTOPEN. The first time that costs some system
 * calls, later it costs the look at a clock. */
void report_sent(int fd);

/* Is there somebody to report to? May register. Changes errno. */
bool report_finds_ring(const struct rules_in_force *rules);

/*
 * A connection begins: note in its sockinfo what its arm in a trial depends on. Nothing is noted
 * where no trial concerns the program, or while no helper reads its ring: a trial that nobody
 * watches is not carried out. Makes no system call but for a registration that is due.
 */
void report_moment(const struct rules_in_force *rules, struct sockinfo *sockinfo);

/* A socket that was there before, as learn_history() found it. */
void report_adopted(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo);

/* What became of setting policy.options[option] just now: 0 or errno, or RECORD_KEPT
 * (record.h). Kept for the records to come. */
void report_option(const struct rules_in_force *rules, uint32_t option, unsigned result);

#endif
