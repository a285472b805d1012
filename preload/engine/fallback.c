/* SPDX-License-Identifier: MIT */
/*
 * Finds what the listener got by deciding for a socket that differs from the accepted one only in
 * its protocol.
 */
#include "fallback.h"

#include "learn.h"

/* True if an accepted TCP socket would inherit the option from a TCP listener. */
static bool is_inherited(const struct policy *policy, const struct policy_action *action)
{
    const unsigned flags = policy->options[action->option].flags;
    return action->mode != MODE_IGNORE && (action->phases & FALLBACK_PHASES) != 0 &&
           (action->protocols & PROTOCOL_TCP) != 0 && (flags & OPTION_INHERITED) != 0 &&
           (flags & OPTION_EARLY) == 0;
}

bool fallback_concerns(const struct policy *policy, const struct active *active)
{
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        if ((rule->roles & ROLE_ACCEPT) == 0 || (rule->protocols & PROTOCOL_TCP) == 0)
            continue;
        for (uint32_t a = rule->actions.first; a < rule->actions.first + rule->actions.count; a++)
            if (is_inherited(policy, &policy->actions[a]) &&
                (rule->protocols & policy->actions[a].protocols & PROTOCOL_MPTCP) == 0)
                return true;
    }
    return false;
}

/* Rules on connections do not apply to the listener: it has no peer and no trial arm. */
static void decide_as(const struct policy *policy, const struct active *active,
                      const struct socket_handle *socket, unsigned protocol,
                      struct sockinfo *sockinfo, struct decision *decision)
{
    sockinfo_at_accept(sockinfo);
    sockinfo->protocols = (uint16_t)protocol;
    sockinfo->families = FAMILY_IP;
    learn_decision(policy, active, socket, sockinfo, PHASE_ACCEPT, FALLBACK_PHASES, decision);
}

void fallback_decide_listener(const struct policy *policy, const struct active *active,
                              const struct socket_handle *socket, struct decision *decision)
{
    struct sockinfo sockinfo;
    decide_as(policy, active, socket, PROTOCOL_MPTCP, &sockinfo, decision);
}

void fallback_decide(const struct policy *policy, const struct active *active,
                     const struct socket_handle *socket, unsigned later, struct sockinfo *sockinfo,
                     struct decision *decision)
{
    struct decision of_listener;
    fallback_decide_listener(policy, active, socket, &of_listener);
    decide_as(policy, active, socket, PROTOCOL_TCP, sockinfo, decision);
    for (uint32_t i = 0; i < policy->option_count; i++) {
        if (decision->action[i] == NO_ACTION)
            continue;
        const struct policy_action *action = &policy->actions[decision->action[i]];
        bool had = of_listener.action[i] == decision->action[i] &&
                   (action->protocols & PROTOCOL_MPTCP) != 0;
        if (had || !is_inherited(policy, action) || (action->phases & later) != 0)
            decision->action[i] = NO_ACTION;
    }
}
