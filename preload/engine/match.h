/* SPDX-License-Identifier: MIT */
/*
 * Matching: from a sockinfo to the actions that win. Pure functions on a checked policy: no
 * allocation, no system call, no state; async-signal-safe and thread-safe. The preloaded object,
 * `socktune explain`, `apply` and the tests use these.
 */
#ifndef SOCKTUNE_MATCH_H
#define SOCKTUNE_MATCH_H

#include "policy.h"
#include "sockinfo.h"

#define NO_ACTION UINT32_MAX

/* Who the process is. The matchers are compared with this. */
struct identity {
    const char *executable;  /* path, or NULL if unknown */
    const char *const *argv; /* NULL-terminated; argv[0] may be NULL */
    uint32_t uid;            /* effective */
    uint32_t gid;            /* effective */
    const char *cgroup; /* path in the cgroup v2 hierarchy; NULL: unknown, no criterion matches */
};

/* The rules that are for a process: ascending indices into policy->rules. */
struct active {
    const uint32_t *rules;
    uint32_t count;
};

/* Fill `rules` (room for policy->rule_count) with the active rules. Returns their number. */
uint32_t active_rules(const struct policy *policy, const struct identity *identity,
                      uint32_t *rules);

/* Fill `rules` (room for active->count) with those active rules that also apply to sockets leaked
 * from the parent (RULE_INHERITED). Returns their number. */
uint32_t active_rules_inherited(const struct policy *policy, const struct active *active,
                                uint32_t *rules);

/* The result for each option of the policy, for one sockinfo. */
struct decision {
    uint32_t action[POLICY_OPTIONS_MAX]; /* winning action of option i, or NO_ACTION */
};

/*
 * Match the sockinfo against the active rules in order: later rules win, and a matching `final`
 * rule ends it. Write each option's winner to `decision`.
 *
 * Returns 0 if the decision is complete. It is empty if no rule that may match has an action at one
 * of `phases` (PHASE_BIT()s), so that no fact is read in vain. Otherwise returns the facts (enum
 * fact_bit) that some rule needs; the caller must read them, or mark them unavailable, and call
 * again. A rule that needs an unavailable fact does not match. MODE_IGNORE actions are left out:
 * see match_guard().
 */
unsigned match_rules(const struct policy *policy, const struct active *active,
                     const struct sockinfo *sockinfo, unsigned phases, struct decision *decision);

/* True if the action is to be carried out for this sockinfo at this phase. The sockinfo may still
 * be a kind of socket that lacks the option: then the kernel refuses it, which does no harm. */
bool action_applies(const struct policy_action *action, const struct sockinfo *sockinfo,
                    enum phase phase);

/* What the rules say about the program's own setsockopt() of an option. */
struct guard {
    uint32_t held; /* the winning action if it is MODE_FORCE or a bound, or NO_ACTION */
    bool ignored;  /* a MODE_IGNORE action is for the option */
};

/*
 * Whether the rules guard the program's own setsockopt() of `option` (an index into
 * policy->options) on a socket. A force or a bound counts if it wins and its rule matches. An
 * ignore counts if its rule matches, or could still match once unavailable facts are known: a
 * program sets a buffer before it connects, so an ignore that waited for the remote address would
 * never work. Returns 0 with the result in `guard`, or the missing facts like match_rules().
 */
unsigned match_guard(const struct policy *policy, const struct active *active,
                     const struct sockinfo *sockinfo, uint32_t option, struct guard *guard);

#define NO_REPORT UINT32_MAX

/*
 * Find the rule that reports the socket: the last matching one with RULE_REPORT. `number` becomes
 * its number among all active rules with RULE_REPORT, or NO_REPORT. Returns 0 with the result, or
 * the missing facts like match_rules().
 */
unsigned match_report(const struct policy *policy, const struct active *active,
                      const struct sockinfo *sockinfo, uint32_t *number);

/* Returns the rule with that number: an index into policy->rules, or NO_REPORT if there are
 * fewer. */
uint32_t report_rule(const struct policy *policy, const struct active *active, uint32_t number);

#endif
