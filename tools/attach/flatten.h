/* SPDX-License-Identifier: MIT */
/*
 * From a compiled policy to the flat tables of the BPF programs (attach_maps.h). No kernel, no BPF:
 * what the kernel takes is handed in.
 */
#ifndef SOCKTUNE_FLATTEN_H
#define SOCKTUNE_FLATTEN_H

#include "attach_maps.h"
#include "attach_report.h"
#include "diagnostic.h"

/* Which events the rules need; each one is a program that costs something when it is attached. */
struct attach_needs {
    bool bind; /* an option must precede bind(), or is for datagram sockets */
    bool connect;
    bool listen;     /* listen(), accepted sockets, reports */
    bool report;     /* of TCP sockets */
    bool setsockopt; /* a `force`, `ignore` or `default` */
};

/* Release with attach_tables_free(). */
struct attach_tables {
    struct attach_rule *rules;
    char (*rule_names)[ATTACH_CHANNEL_NAME_SIZE]; /* terminated; longer ones are cut */
    struct attach_action *actions;
    struct attach_option *options;
    struct attach_matcher *matchers;
    struct attach_prefix *prefixes;
    struct policy_port *ports;
    struct attach_guard *guards;
    uint32_t *origins; /* the policy's action that each action stands for */
    uint32_t rule_count, action_count, option_count, matcher_count, prefix_count, port_count;
    uint32_t guard_count;
    struct attach_needs needs;
};

/*
 * What a kernel makes of an action of the policy: results of bpf_setsockopt() on an IPv4 and an
 * IPv6 socket, 0 or a negative errno.
 */
struct attach_result {
    int32_t error[2];
};

/* The trial of each action of the policy, in the same order; those that cannot be tried (`source`,
 * an ignored option, a value that is too long) have length 0. Room for policy->action_count. */
void attach_trials_of(const struct policy *policy, struct attach_trial *trials);

/*
 * Fill `tables`. `results[action]` are those of the trials; NULL: every option is taken.
 *
 * What a rule asks of the program and BPF cannot see is an error at the rule's line; a limit that
 * is exceeded likewise. An option that is not taken is left out, with a warning. Returns 0, or -1
 * after an error; attach_tables_free() is called in any case.
 */
int attach_flatten(const struct policy *policy, const struct attach_result *results,
                   struct diagnostics *diagnostics, struct attach_tables *tables);

/* Does the rule report what `attach` can report, TCP sockets? */
bool attach_reports(const struct policy_rule *rule);

void attach_tables_free(struct attach_tables *tables);

/* Why `attach` does not give an action of the policy, continuing the option's name; NULL: it does.
 * `results` as for attach_flatten(). Static text, until the next call. */
const char *attach_refusal_of(const struct policy *policy, const struct attach_result *results,
                              uint32_t index);

/* What `attach` cannot give at all, without a look at the kernel: why, continuing the option's
 * name. NULL: nothing is against it. */
const char *attach_refusal(const struct policy *policy, const struct policy_action *action);

#endif
