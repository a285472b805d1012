/* SPDX-License-Identifier: MIT */
/*
 * The rules in force, which change in a program that takes new rules while it runs (`live`).
 *
 * All but live_start() are for hooks: async-signal-safe, thread-safe and fork-safe, without a lock;
 * they keep errno.
 */
#ifndef SOCKTUNE_LIVE_H
#define SOCKTUNE_LIVE_H

#include "register.h"
#include "state.h"

struct live_state;

/* NULL: the program keeps the rules that it started with. Written by the constructor alone. */
extern struct live_state *live_state;

/* What the rules depend on, as it was when the program started. */
struct live_begin {
    const struct identity *identity;
    const char *rules;      /* their path */
    uint64_t device, inode; /* of that path */
};

/*
 * Set memory aside for new rules, and copy what they depend on. `plan` becomes what the program
 * tells of itself when it registers. False: there is no memory. For the constructor alone. Changes
 * errno.
 */
bool live_start(const struct live_begin *begin, struct register_live *plan);

const struct rules_in_force *live_enter(void);
const struct rules_in_force *live_enter_again(const struct rules_in_force *rules,
                                              uint64_t generation);
void live_leave(const struct rules_in_force *rules);
bool live_is_idle(unsigned roles);

/* A hook begins: the rules that it goes by. New rules are taken over first. rules_leave() follows
 * on every way out, and before anything that may wait. */
static inline const struct rules_in_force *rules_enter(void)
{
    return __builtin_expect(live_state == NULL, 1) ? &state.rules : live_enter();
}

/* A hook goes on after it waited, with the rules that it had then (of that generation). Others, if
 * their memory has been used for newer ones meanwhile. */
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

/* True if new rules may be in force and none of these roles (enum role_bit) is reported by them:
 * for hooks of calls so frequent that they are to do nothing more than look. */
static inline bool rules_are_idle(unsigned roles)
{
    return __builtin_expect(live_state != NULL, 0) && live_is_idle(roles);
}

#endif
