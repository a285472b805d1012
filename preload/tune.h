/* SPDX-License-Identifier: MIT */
/*
 * The three steps of a hook: sockinfo, match, apply, by the rules that rules_enter() returned.
 * Everything here is async-signal-safe, thread-safe and fork-safe. It keeps errno unless a comment
 * says otherwise, and makes system calls only for what a rule needs.
 */
#ifndef SOCKTUNE_TUNE_H
#define SOCKTUNE_TUNE_H

#include "confined.h"
#include "kernel_socket.h"
#include "live.h"

/* A handle for a descriptor of this program, valid in the block that contains it. With a seccomp
 * filter, only operations that the program may expect are used. */
#define OWN_SOCKET(number)                                                                         \
    (&(const struct socket_handle){                                                                \
        .ops = confined_now() ? &kernel_confined_ops : &kernel_socket_ops, .fd = (number)})

/* The hooks' first question: may an active rule act at any of these phases (PHASE_BIT()s)? After
 * rules_enter(), rules_act_at() has the answer. */
static inline bool tunes_at(unsigned phases)
{
    return __builtin_expect((state.phases & phases) != 0, 0);
}

static inline bool rules_act_at(const struct rules_in_force *rules, unsigned phases)
{
    return (rules->phases & phases) != 0;
}

/* Fill `sockinfo` by sockinfo_at_address() for the address that the program passes to bind() or
 * connect(). False also if the address cannot be read; then the kernel answers the call
 * (readable.h). At connect() this may find that the socket is TCP; with `ask` it spends a system
 * call on it in any case. Keeps errno. */
bool tune_begin_at_bind(struct sockinfo *sockinfo, int fd, const struct sockaddr *address,
                        socklen_t length);
bool tune_begin_at_connect(struct sockinfo *sockinfo, int fd, const struct sockaddr *address,
                           socklen_t length, bool ask);

/*
 * Match `sockinfo`, and carry out on `fd` the actions that win at the phase. Facts that a rule
 * needs are asked of the kernel and added to the sockinfo. Returns 0, or the errno with which the
 * call must fail because an option with `require` could not be set. Keeps errno.
 */
int tune(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo, enum phase phase);

/* The same in two steps, for hooks that make a call between decision and application, or decide for
 * more phases than that of the call. */
void tune_decide(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                 enum phase phase, unsigned phases, struct decision *decision);
int tune_apply(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
               const struct decision *decision, unsigned phases);

/* Returns the backlog to pass to listen() if the program passes `backlog`. */
int tune_backlog(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                 const struct decision *decision, int backlog);

/* Call this before a socket is connected again: undo_former_peer() (undo.h). Changes errno. */
void tune_undo(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
               const struct decision *decision);

/* Set one option on `fd`, unless it has the value already: apply_now() (apply.h). Changes errno. */
bool tune_force(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                const struct policy_action *action);

/* tune_apply() for a socket that already exists and whose creation was not seen. */
void tune_apply_afterwards(const struct rules_in_force *rules, int fd,
                           const struct sockinfo *sockinfo, const struct decision *decision,
                           unsigned phases);

#endif
