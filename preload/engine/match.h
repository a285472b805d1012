/* SPDX-License-Identifier: MIT */
/*
 * Matching: from a sockinfo to the actions that win. Pure functions over a checked policy: no
 * allocation, no system call, no state; async-signal-safe and thread-safe. The preloaded object,
 * `socktune explain`, `apply` and the tests all use these.
 */
#ifndef SOCKTUNE_MATCH_H
#define SOCKTUNE_MATCH_H

#include "policy.h"
#include "sockinfo.h"

#define NO_ACTION UINT32_MAX

/* Who the process is; what the matchers are compared with. */
struct identity {
    const char *executable;  /* path, or NULL if unknown */
    const char *const *argv; /* NULL-terminated; argv[0] may be NULL */
    uint32_t uid;            /* effective */
    uint32_t gid;            /* effective */
    const char *cgroup;      /* path in the cgroup v2 hierarchy; NULL: not known, nothing matches */
};

/* The rules that are for a process: indices into policy->rules, ascending. */
struct active {
    const uint32_t *rules;
    uint32_t count;
};

/* Fill `rules` (room for policy->rule_count) with the active rules; returns how many. */
uint32_t active_rules(const struct policy *policy, const struct identity *identity,
                      uint32_t *rules);

/* Those of the active rules that are also for sockets which leaked from the parent
 * (RULE_INHERITED); `rules` has room for active->count. Returns how many. */
uint32_t active_rules_inherited(const struct policy *policy, const struct active *active,
                                uint32_t *rules);

/* What is to become of each option of the policy for one sockinfo. */
struct decision {
    uint32_t action[POLICY_OPTIONS_MAX]; /* winning action of option i, or NO_ACTION */
};

/*
 * Match the sockinfo against the active rules in order, later rules winning, a matching final rule
 * ending it, and leave each option's winner in `decision`.
 *
 * Returns 0 when the decision stands; it is empty when no rule that may match has an action at one
 * of `phases` (PHASE_BIT()s), so that nothing is asked for in vain. Otherwise returns the facts
 * (enum fact_bit) that some rule needs; the caller obtains them, or marks them unavailable, and
 * calls again. A rule that needs an unavailable fact does not match. MODE_IGNORE actions take no
 * part: see match_guard().
 */
unsigned match_rules(const struct policy *policy, const struct active *active,
                     const struct sockinfo *sockinfo, unsigned phases, struct decision *decision);

/* True if the action is to be carried out for this sockinfo at this phase. The option need not
 * exist for all that the sockinfo may be: one that the kernel refuses does no harm. */
bool action_applies(const struct policy_action *action, const struct sockinfo *sockinfo,
                    enum phase phase);

/* What the rules say about the program's own setsockopt of an option. */
struct guard {
    uint32_t held; /* the action that wins, if it is a MODE_FORCE or a bound, or NO_ACTION */
    bool ignored;  /* a MODE_IGNORE action is for it */
};

/*
 * Is the program's own setsockopt of `option` (an index into policy->options) guarded on a socket?
 * A force or a bound holds if it wins and its rule matches. An ignore, if its rule matches or could
 * still match once unavailable facts are known: a program sets a buffer before it connects, so an
 * ignore that waited for the remote address would never work.
 * Returns 0 and the answer in `guard`, or the missing facts as match_rules() does.
 */
unsigned match_guard(const struct policy *policy, const struct active *active,
                     const struct sockinfo *sockinfo, uint32_t option, struct guard *guard);

#define NO_REPORT UINT32_MAX

/*
 * Which rule wants the socket reported? The last matching one of those with RULE_REPORT; `number`
 * is its number among all active rules with RULE_REPORT, or NO_REPORT.
 * Returns 0 and the answer, or the missing facts as match_rules() does.
 */
unsigned match_report(const struct policy *policy, const struct active *active,
                      const struct sockinfo *sockinfo, uint32_t *number);

/* The rule of that number: an index into policy->rules, or NO_REPORT if there are not so many. */
uint32_t report_rule(const struct policy *policy, const struct active *active, uint32_t number);

#endif
