/* SPDX-License-Identifier: MIT */
/*
 * The three steps of a hook: sockinfo, match, apply, by the rules that rules_enter() gave.
 * Everything here is async-signal-safe, thread-safe and fork-safe, keeps errno, and makes system
 * calls only for what a rule needs.
 */
#ifndef SOCKTUNE_TUNE_H
#define SOCKTUNE_TUNE_H

#include "confined.h"
#include "kernel_socket.h"
#include "live.h"

/* A handle of a descriptor of this program, for the block in which this stands: under a filter, the
 * library makes no system call that the program may not have foreseen. */
#define OWN_SOCKET(number)                                                                         \
    (&(const struct socket_handle){                                                                \
        .ops = confined_now() ? &kernel_confined_ops : &kernel_socket_ops, .fd = (number)})

/* True if an active rule may act at any of these phases (PHASE_BIT()s): the hooks' first question.
 * After rules_enter(), rules_act_at() gives the answer. */
static inline bool tunes_at(unsigned phases)
{
    return __builtin_expect((state.phases & phases) != 0, 0);
}

static inline bool rules_act_at(const struct rules_in_force *rules, unsigned phases)
{
    return (rules->phases & phases) != 0;
}

/* sockinfo_at_address() for an address that the program passes to bind() or connect(). False also
 * if it cannot be read: the kernel then answers the call (readable.h). At connect() it may become
 * known that the socket is one of TCP: `ask` says that this is worth a system call in any case.
 * Keeps errno. */
bool tune_begin_at_bind(struct sockinfo *sockinfo, int fd, const struct sockaddr *address,
                        socklen_t length);
bool tune_begin_at_connect(struct sockinfo *sockinfo, int fd, const struct sockaddr *address,
                           socklen_t length, bool ask);

/*
 * Match `sockinfo` and carry out, on `fd`, what wins at the phase. Facts that a rule needs are
 * asked of the kernel and added to the sockinfo. Keeps errno. Returns 0, or the errno with which
 * the call must fail, since an option cannot be given and its rule says `require`.
 */
int tune(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo, enum phase phase);

/* The same in two steps, where a call lies between decision and application, or more phases than
 * that of the call are to be decided for. */
void tune_decide(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                 enum phase phase, unsigned phases, struct decision *decision);
int tune_apply(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
               const struct decision *decision, unsigned phases);

/* The backlog with which to call listen() for a program that passes `backlog`. */
int tune_backlog(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                 const struct decision *decision, int backlog);

/* Before a socket is connected again: undo_former_peer() (undo.h). Changes errno. */
void tune_undo(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
               const struct decision *decision);

/* Give `fd` one action, unless it has its value: apply_now() (apply.h). Changes errno. */
bool tune_force(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                const struct policy_action *action);

/* tune_apply() on a socket that is in use, and that was not seen being made. */
void tune_apply_afterwards(const struct rules_in_force *rules, int fd,
                           const struct sockinfo *sockinfo, const struct decision *decision,
                           unsigned phases);

#endif
