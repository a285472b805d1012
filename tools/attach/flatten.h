/* SPDX-License-Identifier: MIT */
/*
 * Converts a compiled policy to the flat tables of the BPF programs (attach_maps.h). Uses neither
 * the kernel nor BPF: the caller passes what the kernel supports.
 */
#ifndef SOCKTUNE_FLATTEN_H
#define SOCKTUNE_FLATTEN_H

#include "attach_maps.h"
#include "attach_report.h"
#include "diagnostic.h"

/* The events that the rules need. Each is a program that costs time once it is attached. */
struct attach_needs {
    bool bind; /* an option must precede bind(), or is for datagram sockets */
    bool connect;
    bool listen;     /* listen(), accepted sockets, reports */
    bool report;     /* TCP sockets are reported */
    bool setsockopt; /* a `force`, `ignore` or `default` */
};

/* Release with attach_tables_free(). */
struct attach_tables {
    struct attach_rule *rules;
    char (*rule_names)[ATTACH_CHANNEL_NAME_SIZE]; /* terminated; longer ones are truncated */
    struct attach_action *actions;
    struct attach_option *options;
    struct attach_matcher *matchers;
    struct attach_prefix *prefixes;
    struct policy_port *ports;
    struct attach_guard *guards;
    uint32_t *origins; /* for each action, the action of the policy from which it was made */
    uint32_t rule_count, action_count, option_count, matcher_count, prefix_count, port_count;
    uint32_t guard_count;
    struct attach_needs needs;
};

/*
 * The kernel's results for an action of the policy: of bpf_setsockopt() on an IPv4 and an IPv6
 * socket, 0 or a negative errno.
 */
struct attach_result {
    int32_t error[2];
};

/* Fill in the trial of each action of the policy, in the same order. Actions that cannot be tried
 * (`source`, an ignored option, a value that is too long) have length 0. Room for
 * policy->action_count. */
void attach_trials_of(const struct policy *policy, struct attach_trial *trials);

/*
 * Fill `tables`. `results[action]` are the results of the trials; NULL: every option is accepted.
 *
 * A criterion on the program that BPF cannot check is an error at the rule's line; so is an
 * exceeded limit. A refused option is left out, with a warning. Returns 0, or -1 after an error;
 * call attach_tables_free() in either case.
 */
int attach_flatten(const struct policy *policy, const struct attach_result *results,
                   struct diagnostics *diagnostics, struct attach_tables *tables);

/* True if the rule reports TCP sockets, which `attach` can report. */
bool attach_reports(const struct policy_rule *rule);

void attach_tables_free(struct attach_tables *tables);

/* Returns why `attach` does not set an action of the policy, as a continuation of the option's
 * name; NULL if it does. `results` as for attach_flatten(). Static text, valid until the next
 * call. */
const char *attach_refusal_of(const struct policy *policy, const struct attach_result *results,
                              uint32_t index);

/* Returns why `attach` can never set the action, whatever the kernel, as a continuation of the
 * option's name. NULL if nothing prevents it. */
const char *attach_refusal(const struct policy *policy, const struct policy_action *action);

#endif
