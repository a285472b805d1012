/* SPDX-License-Identifier: MIT */
/*
 * The last step of the engine: carries out a decision on a socket. The hooks do this inside the
 * program, the supervisor and `socktune apply` on a duplicate of the socket.
 *
 * Stateless. It reaches the socket only through its operations (socket_ops.h). Async-signal-safe
 * and thread-safe; changes errno.
 */
#ifndef SOCKTUNE_APPLY_H
#define SOCKTUNE_APPLY_H

#include "defaults.h"

/* When the actions are carried out. This determines what the program may have set before. */
enum apply_timing {
    APPLY_IN_TIME, /* in the call itself: at socket() the program has set nothing yet */
    APPLY_LATE, /* actions of socket(), in a later call: what the program has set meanwhile stays,
                   as if the actions had come first, except for `force` */
    APPLY_AFTERWARDS /* on a socket in use: each `default` compares */
};

enum applied {
    APPLIED_SET,
    APPLIED_FAILED,
    APPLIED_KEPT /* the program has set it itself, or its value is within the bound */
};

/* The application of a decision to one socket in one call. */
struct application {
    const struct policy *policy;
    const struct sockinfo *sockinfo; /* as used for the decision */
    const struct socket_handle *socket;
    unsigned phases; /* PHASE_BIT()s of the actions that are due */
    enum apply_timing timing;
    /* Values of fresh sockets: with APPLY_IN_TIME including the actions of socket(), otherwise
     * without. NULL if unknown; then no `default` that must compare is carried out. */
    const struct default_value *defaults;
    /* Called if an option differs from its default, or if the default is unknown, since the
     * system's default may have changed: returns what a fresh socket has now. False if that is
     * unknown. May be NULL. */
    bool (*fresh_value)(const struct application *application, uint32_t option,
                        struct default_value *value);
    const struct active *active; /* for fresh_value: its actions at socket() are carried out */
    bool one_kind; /* true: defaults[option], for this kind only; false: [kind * option_count +
                      option] */
    /* Called before anything is set, to ask whether an action that is due is to be carried out. It
     * must call apply_yields() itself. May be NULL. */
    bool (*wants)(const struct application *application, const struct policy_action *action,
                  enum phase phase);
    /* Called with the result of each action. `error` is an errno, or 0. May be NULL. */
    void (*report)(const struct application *application, const struct policy_action *action,
                   enum phase phase, enum applied result, int error);
    void *context; /* for the callbacks */
};

/*
 * Carry out the actions of the decision that are due, in the order of the policy's option table,
 * which is the order that the kernel needs. `transport` and `backlog` are not carried out here:
 * socket() and listen() take them, and `wants` must refuse them. A failure is reported, and the
 * next action follows. Whoever makes the program's call must ask apply_is_required().
 */
void apply_actions(const struct application *application, const struct decision *decision);

/* True if the action must not be carried out, because the program has set the option itself, or
 * because its value is within the bound. */
bool apply_yields(const struct application *application, const struct policy_action *action,
                  enum phase phase);

/* True if the program's call must fail because the action failed at `phase` and its rule has
 * `require`. At bind() it is unknown whether the socket will listen, so a rule for connecting
 * sockets only is enforced at connect(). Asks the socket for its protocol: an option that does not
 * exist for it is not required. Changes errno. */
bool apply_is_required(const struct application *application, const struct policy_action *action,
                       enum phase phase);

/* Write the value that an action sets to `value` (POLICY_VALUE_MAX bytes). OP_MERGE keeps the other
 * bits of the current value `now`. Returns the length; 0 if those bits are unknown. Pure. */
uint32_t apply_value(const struct policy *policy, const struct policy_action *action,
                     const void *now, uint32_t length, uint8_t *value);

/* True if `now`, a value read from a socket, is what the action sets. Pure. */
bool apply_has_value(const struct policy *policy, const struct policy_action *action,
                     const struct default_value *now);

/* Carry out one action, unless the socket has its value already. False with errno if it cannot be
 * set. Does not call `report`. */
bool apply_now(const struct application *application, const struct policy_action *action);

/* Returns the `transport` (OP_TRANSPORT) that socket() must use, or NULL. Pure. */
const struct policy_action *apply_transport(const struct policy *policy,
                                            const struct decision *decision,
                                            const struct sockinfo *sockinfo);

/* Returns the backlog for listen() if the program passes `backlog`. `action` becomes the rule's
 * action, or NULL. Pure. */
int apply_backlog(const struct policy *policy, const struct decision *decision,
                  const struct sockinfo *sockinfo, int backlog,
                  const struct policy_action **action);

/* Remove from the decision the options that are too late for a connection, such as buffers
 * (SO_RCVBUF can clamp the window permanently). Pure. */
void apply_drop_early(const struct policy *policy, struct decision *decision);

#endif
