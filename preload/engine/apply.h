/* SPDX-License-Identifier: MIT */
/*
 * The last step of the engine: carrying out on a socket what has been decided for it. The hooks do
 * it within the program, the supervisor and `socktune apply` on a duplicate of the socket.
 *
 * Nothing here has state. It reaches the socket through its operations alone (socket_ops.h);
 * async-signal-safe and thread-safe; changes errno.
 */
#ifndef SOCKTUNE_APPLY_H
#define SOCKTUNE_APPLY_H

#include "defaults.h"

/* When it is done, and so what the program may have set itself by then. */
enum apply_timing {
    APPLY_IN_TIME,   /* in the very call: in socket() the program has set nothing yet */
    APPLY_LATE,      /* what socket() should have given, in a later call: whatever the program has
                        set meanwhile stands, as it would if it had been given first; `force`
                        excepted */
    APPLY_AFTERWARDS /* on a socket that is in use: each `default` compares */
};

enum applied {
    APPLIED_SET,
    APPLIED_FAILED,
    APPLIED_KEPT /* the program has set it itself, or it keeps within the bound */
};

/* One socket in one call. */
struct application {
    const struct policy *policy;
    const struct sockinfo *sockinfo; /* as the decision was made for it */
    const struct socket_handle *socket;
    unsigned phases; /* PHASE_BIT()s: whose actions are due */
    enum apply_timing timing;
    /* What fresh sockets have: IN_TIME after the actions of socket(), else without. NULL where it
     * is not known; then no `default` that has to compare is carried out. */
    const struct default_value *defaults;
    /* Asked where an option differs from its default, or where that is not known, since the
     * system's own default may have changed meanwhile: what a fresh socket has now. False: that
     * cannot be told. May be NULL. */
    bool (*fresh_value)(const struct application *application, uint32_t option,
                        struct default_value *value);
    const struct active *active; /* for fresh_value; whose actions at socket() it carries out */
    bool one_kind; /* defaults[option], of this kind alone; else [kind * option_count + option] */
    /* Asked, before anything is set, whether an action that is due is to be carried out; it is to
     * ask apply_yields() itself. May be NULL. */
    bool (*wants)(const struct application *application, const struct policy_action *action,
                  enum phase phase);
    /* Gets the result of each action. `error` is an errno, or 0. May be NULL. */
    void (*report)(const struct application *application, const struct policy_action *action,
                   enum phase phase, enum applied result, int error);
    void *context; /* for the two */
};

/*
 * Carry out the actions of the decision that are due, in the order of the policy's option table,
 * which is the order that the kernel wants. A `transport` or `backlog` is not carried out here:
 * socket() and listen() do that, and `wants` must refuse it. An option that cannot be set is
 * reported and otherwise forgotten; whoever makes the program's call asks apply_is_required().
 */
void apply_actions(const struct application *application, const struct decision *decision);

/* Does what the program has set itself stand against the action, or keep within its bound? */
bool apply_yields(const struct application *application, const struct policy_action *action,
                  enum phase phase);

/* Must the program's call fail because the action could not be carried out at `phase`? (`require`
 * in its rule. At bind() it is not known yet whether a socket will listen, so a rule on connecting
 * sockets alone waits for connect().) Asks the socket for its protocol: an option that is not for
 * it is not required. Changes errno. */
bool apply_is_required(const struct application *application, const struct policy_action *action,
                       enum phase phase);

/* What an action sets, in `value` (POLICY_VALUE_MAX bytes): OP_MERGE keeps the other bits of the
 * current value. Returns the length; 0 if those bits are not known. Pure. */
uint32_t apply_value(const struct policy *policy, const struct policy_action *action,
                     const void *now, uint32_t length, uint8_t *value);

/* Is `now`, as it was read from a socket, what the action sets? Pure. */
bool apply_has_value(const struct policy *policy, const struct policy_action *action,
                     const struct default_value *now);

/* Give the socket one action, unless it has its value. False if it cannot be set: errno. Reports
 * nothing. */
bool apply_now(const struct application *application, const struct policy_action *action);

/* The `transport` (OP_TRANSPORT) that socket() is to ask for, or NULL. Pure. */
const struct policy_action *apply_transport(const struct policy *policy,
                                            const struct decision *decision,
                                            const struct sockinfo *sockinfo);

/* The backlog that listen() is to be called with, where the program passes `backlog`. `action` gets
 * what the rules say about it, or NULL. Pure. */
int apply_backlog(const struct policy *policy, const struct decision *decision,
                  const struct sockinfo *sockinfo, int backlog,
                  const struct policy_action **action);

/* Strike out what comes too late on a connection: buffers and the like (SO_RCVBUF can clamp the
 * window for good there). Pure. */
void apply_drop_early(const struct policy *policy, struct decision *decision);

#endif
