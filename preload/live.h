/* SPDX-License-Identifier: MIT */
/*
 * The rules in force. They can change in a program that takes new rules while it runs (`live`).
 *
 * All functions but live_start() are for hooks: async-signal-safe, thread-safe and fork-safe,
 * without a lock; they keep errno.
 */
#ifndef SOCKTUNE_LIVE_H
#define SOCKTUNE_LIVE_H

#include "register.h"
#include "state.h"

struct live_state;

/* NULL: the program keeps the rules of its start. Only the constructor writes it. */
extern struct live_state *live_state;

/* What the rules depend on, as of the program's start. */
struct live_begin {
    const struct identity *identity;
    const char *rules;      /* path of the rules */
    uint64_t device, inode; /* of that path */
};

/*
 * Allocate memory for new rules, and copy what they depend on. Fills `plan` with what the program
 * sends when it registers. False if there is no memory. Only for the constructor. Changes errno.
 */
bool live_start(const struct live_begin *begin, struct register_live *plan);

const struct rules_in_force *live_enter(void);
const struct rules_in_force *live_enter_again(const struct rules_in_force *rules,
                                              uint64_t generation);
void live_leave(const struct rules_in_force *rules);
bool live_is_idle(unsigned roles);

/* Called first in a hook: takes over new rules, if there are any, and returns the rules that the
 * hook must use. Call rules_leave() on every path out, and before any call that may block. */
static inline const struct rules_in_force *rules_enter(void)
{
    return __builtin_expect(live_state == NULL, 1) ? &state.rules : live_enter();
}

/* Called when a hook continues after a call that blocked, with the rules that it used before (and
 * their generation). Returns the same rules, or the rules in force if their slot has been
 * reused. */
static inline const struct rules_in_force *rules_enter_again(const struct rules_in_force *rules,
                                                             uint64_t generation)
{
    return __builtin_expect(live_state == NULL, 1) ? rules : live_enter_again(rules, generation);
}

static inline void rules_leave(const struct rules_in_force *rules)
{
    if (__builtin_expect(live_state != NULL, 0))
        live_leave(rules);
}

/* True if new rules may be in force and they report none of these roles (enum role_bit). Cheap: for
 * hooks of very frequent calls. */
static inline bool rules_are_idle(unsigned roles)
{
    return __builtin_expect(live_state != NULL, 0) && live_is_idle(roles);
}

#endif
