/* SPDX-License-Identifier: MIT */
/*
 * Reports connections to the helper: the registration, and a record for each connection, listener
 * and UDP socket.
 *
 * The functions for hooks keep errno unless they say otherwise. They are async-signal-safe,
 * thread-safe and fork-safe, and never wait. Call them only if reports() is true.
 */
#ifndef SOCKTUNE_REPORT_H
#define SOCKTUNE_REPORT_H

#include "record.h"
#include "register.h"
#include "state.h"

/* How the sockets under a set of rules are reported. */
struct rules_report {
    struct record_maker maker;
    struct register_plan plan;
    uint64_t names; /* hash of the names in the plan, to which records refer */
    /* By option of the policy: the last result passed to report_option(). */
    uint16_t results[POLICY_OPTIONS_MAX];
};

/* The hooks' first question: may an active rule report sockets of one of these roles (enum
 * role_bit)? After rules_enter(), rules->reports has the answer. */
static inline bool reports(unsigned roles)
{
    return __builtin_expect((state.reports & roles) != 0, 0);
}

/*
 * Prepare for reports and register with the helper, if there is one. Does so if an active rule of
 * state.rules has `report = true`, or if the program takes new rules (`live` is not NULL). Sets the
 * report and reports of state.rules. Only for the constructor. Changes errno.
 */
void report_start(const struct helper_environment *environment, const struct register_live *live);

/* Fill rules->report and rules->reports of new rules. Makes no system call. */
void report_prepare(struct rules_in_force *rules, const struct register_live *live);

/* In a program that takes new rules: register again, if that is due. Keeps errno. */
void report_stay_registered(const struct rules_in_force *rules);

/* socket() has returned `fd`; -1 if it failed. The first call in each process costs a system call.
 * Keeps errno. */
void report_made(int fd);

/* True if the sockets accepted from this listener are known to be plain TCP and in the network
 * namespace whose sockets are reported. Keeps errno. */
bool report_knows_listener(int listener);

/* Call this before connect(), which may block for long. `sockinfo` is the socket's state before
 * connect(); facts are added to it. Returns the socket's cookie if the socket was reported, else 0.
 * Changes errno. */
uint64_t report_connecting(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo);
/* Call this after connect(). `sockinfo` is the state before connect(); facts are added to it.
 * `decided` is the decision for all phases up to PHASE_CONNECTED, `cookie` the socket's cookie or 0
 * if unknown. `error` is the errno of the call; 0 if it succeeded or is in progress. */
void report_connect(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                    const struct decision *decided, uint64_t cookie, int error);
/* The same for accept(). `decided` is the decision for sockinfo_phases_behind(), or NULL. */
void report_accept(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                   const struct decision *decided);
/* Call this after listen() has succeeded. */
void report_listen(const struct rules_in_force *rules, int fd);
/* Call this after bind() to this address has succeeded. Only UDP sockets are reported. */
void report_bound(const struct rules_in_force *rules, int fd, const struct sockaddr *address,
                  socklen_t length);
/* The program sent data without connect() or MSG_FASTOPEN. The first time costs some system calls,
 * later calls only read a clock. */
void report_sent(int fd);

/* True if there is a ring to report to. May register. Changes errno. */
bool report_finds_ring(const struct rules_in_force *rules);

/*
 * Note in the sockinfo of a new connection the facts that select its arm in a trial. Nothing is
 * noted if no trial concerns the program, or if no helper reads its ring: then the trial is not
 * carried out. Makes no system call except for a registration that is due.
 */
void report_moment(const struct rules_in_force *rules, struct sockinfo *sockinfo);

/* Report a socket that existed before. `sockinfo` is from learn_history(). */
void report_inherited(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo);

/* Note the last result of setting policy->options[option], for later records: 0, an errno, or
 * RECORD_KEPT (record.h). */
void report_option(const struct rules_in_force *rules, uint32_t option, unsigned result);

#endif
