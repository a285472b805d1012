/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: `given` holds, for each option of the policy, the effect that stands. The
 * calls of a life follow one another as in a program; each makes its sockinfo as the hook of that
 * call does (preload/hook_*.c), matches it, answers what the matching asks for, and carries out
 * the actions of its phases by noting them in `given`. accept() first strikes out what is not
 * inherited. Numbers of the order of giving make the result a list again.
 */
#include "simulate.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct given {
    struct effect effect; /* action NO_ACTION: nothing was given */
    unsigned order;
};

struct living {
    const struct policy *policy;
    const struct active *active;
    const struct scenario *scenario;
    int protocol;                           /* may turn from TCP to MPTCP */
    const struct sockaddr_storage *local;   /* NULL: not bound */
    const struct sockaddr_storage *remote;  /* NULL: not connected */
    struct given given[POLICY_OPTIONS_MAX]; /* by option */
    uint32_t pristine[POLICY_OPTIONS_MAX];  /* actions done at socket(): the start for `default` */
    unsigned order;
};

/* --- the kernel's answers --------------------------------------------------------------------- */

static bool learn_address(const struct sockaddr_storage *from, struct sockinfo *sockinfo,
                          enum fact_bit fact)
{
    bool local = fact == FACT_LOCAL;

    if (!from)
        return false;
    sockinfo->families &= (uint8_t)address_read(
        (const struct sockaddr *)from, sizeof *from, local ? &sockinfo->local : &sockinfo->remote,
        local ? &sockinfo->local_port : &sockinfo->remote_port);
    sockinfo->known |= (uint8_t)fact;
    return true;
}

/* What preload/learn.c does by asking the kernel. */
static void learn(const struct living *living, struct sockinfo *sockinfo, unsigned wanted,
                  enum phase phase)
{
    const struct scenario *scenario = living->scenario;
    unsigned got = FACT_FAMILY;

    if (wanted & FACT_REMOTE && learn_address(living->remote, sockinfo, FACT_REMOTE))
        got |= FACT_REMOTE;
    if (wanted & FACT_LOCAL && learn_address(living->local, sockinfo, FACT_LOCAL))
        got |= FACT_LOCAL;
    if (wanted & FACT_FAMILY)
        sockinfo->families &= (uint8_t)family_bit_of(scenario->domain);
    if (wanted & (FACT_ROLE | FACT_PROTOCOL)) {
        sockinfo_learn_type(sockinfo, phase, scenario->domain, scenario->type, living->protocol);
        got |= FACT_ROLE | FACT_PROTOCOL;
    }
    sockinfo->unavailable |= (uint8_t)(wanted & ~got);
}

/* --- deciding and giving ---------------------------------------------------------------------- */

static const struct policy_action *action_of(const struct living *living, uint32_t index)
{
    return index == NO_ACTION ? NULL : &living->policy->actions[index];
}

static bool same_value(const struct policy *policy, uint32_t one, uint32_t other)
{
    const struct policy_action *a, *b;

    if (one == other || one == NO_ACTION || other == NO_ACTION)
        return one == other;
    a = &policy->actions[one];
    b = &policy->actions[other];
    return a->length == b->length &&
           memcmp(policy->data + a->value, policy->data + b->value, a->length) == 0;
}

/* A `default` gives way to any value other than the one that a socket has from socket(): it cannot
 * tell a value of ours from the program's. As preload/tune.c, yields(). */
static bool yields(const struct living *living, uint32_t index, enum phase phase)
{
    const struct policy_action *action = &living->policy->actions[index];
    const struct policy_option *option = &living->policy->options[action->option];

    if (action->mode != MODE_DEFAULT || phase == PHASE_SOCKET)
        return false;
    if (phase == PHASE_ACCEPT && !(option->flags & OPTION_INHERITED))
        return false;
    return !same_value(living->policy, living->given[action->option].effect.action,
                       living->pristine[action->option]);
}

/* Hooks do not ask for more about a socket than rules need, so they may try in vain. But options of
 * SOL_SOCKET are taken by sockets for which they mean nothing, too. */
static bool kernel_takes(const struct living *living, const struct policy_action *action)
{
    const struct scenario *scenario = living->scenario;

    return living->policy->options[action->option].level == SOL_SOCKET ||
           ((action->families & family_bit_of(scenario->domain)) != 0 &&
            (action->protocols &
             protocol_bit_of(scenario->domain, scenario->type, living->protocol)) != 0);
}

static void give(struct living *living, uint32_t index, enum phase phase)
{
    const struct policy_action *action = &living->policy->actions[index];

    /* Given once more, it changes nothing. */
    if (living->given[action->option].effect.action == index || !kernel_takes(living, action) ||
        yields(living, index, phase))
        return;
    if (phase == PHASE_SOCKET)
        living->pristine[action->option] = index;
    living->given[action->option] =
        (struct given){.effect = {.action = index, .phase = phase}, .order = ++living->order};
}

static void decide(const struct living *living, struct sockinfo *sockinfo, unsigned phases,
                   struct decision *decision)
{
    enum phase first = (enum phase)__builtin_ctz(phases);
    unsigned missing;

    while ((missing = match_rules(living->policy, living->active, sockinfo, phases, decision)))
        learn(living, sockinfo, missing, first);
}

/* A socket is bound to a `source` only if it connects by that version of IP, and is not bound yet
 * (preload/hook_connect.c). */
static bool source_fits(const struct living *living, const struct policy_action *action,
                        const struct sockinfo *sockinfo)
{
    struct address source;

    memcpy(&source, living->policy->data + action->value, sizeof source);
    return (!living->local || living->scenario->open) &&
           address_is_v4(&source) == address_is_v4(&sockinfo->remote);
}

/* Carries out what was decided for any of `phases`, each action once, at the first of its own. */
static void apply(struct living *living, const struct sockinfo *sockinfo,
                  const struct decision *decision, unsigned phases)
{
    for (uint32_t i = 0; i < living->policy->option_count; i++) {
        const struct policy_action *action = action_of(living, decision->action[i]);
        unsigned now = action ? action->phases & phases : 0;

        if (now && action_applies(action, sockinfo, (enum phase)__builtin_ctz(now)) &&
            (action->op != OP_SOURCE || source_fits(living, action, sockinfo)))
            give(living, decision->action[i], (enum phase)__builtin_ctz(now));
    }
}

static void tune(struct living *living, struct sockinfo *sockinfo, unsigned phases)
{
    struct decision decision;

    decide(living, sockinfo, phases, &decision);
    apply(living, sockinfo, &decision, phases);
}

/* --- the calls -------------------------------------------------------------------------------- */

/* A `transport` makes it another socket, before any option is set. */
static void change_transport(struct living *living, struct sockinfo *sockinfo,
                             const struct decision *decision)
{
    const struct scenario *scenario = living->scenario;

    for (uint32_t i = 0; i < living->policy->option_count; i++) {
        const struct policy_action *action = action_of(living, decision->action[i]);
        int32_t protocol;

        if (!action || action->op != OP_TRANSPORT ||
            !action_applies(action, sockinfo, PHASE_SOCKET))
            continue;
        memcpy(&protocol, living->policy->data + action->value, sizeof protocol);
        give(living, decision->action[i], PHASE_SOCKET);
        living->protocol = protocol;
        sockinfo->protocols = (uint16_t)protocol_bit_of(scenario->domain, scenario->type, protocol);
    }
}

static void do_socket(struct living *living)
{
    const struct scenario *scenario = living->scenario;
    struct sockinfo sockinfo;
    struct decision decision;

    if (!sockinfo_at_socket(&sockinfo, scenario->domain, scenario->type, scenario->protocol))
        return;
    decide(living, &sockinfo, PHASE_BIT(PHASE_SOCKET), &decision);
    change_transport(living, &sockinfo, &decision);
    apply(living, &sockinfo, &decision, PHASE_BIT(PHASE_SOCKET));
}

static void do_bind(struct living *living, const struct sockaddr_storage *local)
{
    struct sockinfo sockinfo;

    if (sockinfo_at_address(&sockinfo, PHASE_BIND, (const struct sockaddr *)local, sizeof *local))
        tune(living, &sockinfo, PHASE_BIT(PHASE_BIND));
    living->local = local;
}

/* Decided once: before the call, for after it too. */
static void do_connect(struct living *living, const struct sockaddr_storage *remote)
{
    const unsigned before = PHASE_BIT(PHASE_CONNECT), after = PHASE_BIT(PHASE_CONNECTED);
    struct sockinfo sockinfo;
    struct decision decision;

    if (sockinfo_at_address(&sockinfo, PHASE_CONNECT, (const struct sockaddr *)remote,
                            sizeof *remote)) {
        decide(living, &sockinfo, before | after, &decision);
        apply(living, &sockinfo, &decision, before);
        apply(living, &sockinfo, &decision, after);
    }
    living->remote = remote;
}

static void do_listen(struct living *living)
{
    struct sockinfo sockinfo;

    sockinfo_at_listen(&sockinfo);
    tune(living, &sockinfo, PHASE_BIT(PHASE_LISTEN));
    tune(living, &sockinfo, PHASE_BIT(PHASE_LISTENING));
}

/* The listener has every address, so PHASE_ACCEPT_WILDCARD is due as well. */
static void do_accept(struct living *living)
{
    struct sockinfo sockinfo;

    for (uint32_t i = 0; i < living->policy->option_count; i++) {
        living->given[i].effect.inherited = true;
        if (!(living->policy->options[i].flags & OPTION_INHERITED))
            living->given[i].effect.action = NO_ACTION;
    }
    living->local = &living->scenario->local;
    living->remote = &living->scenario->remote;
    sockinfo_at_accept(&sockinfo);
    tune(living, &sockinfo, PHASE_BIT(PHASE_ACCEPT) | PHASE_BIT(PHASE_ACCEPT_WILDCARD));
}

static bool is_datagram(const struct scenario *scenario)
{
    return protocol_bit_of(scenario->domain, scenario->type, scenario->protocol) &
           PROTOCOL_DATAGRAM;
}

/* The address of the listener that accepts: every one, at the same port. */
static struct sockaddr_storage wildcard(const struct sockaddr_storage *local)
{
    struct sockaddr_storage every = *local;

    if (every.ss_family == AF_INET)
        ((struct sockaddr_in *)&every)->sin_addr.s_addr = INADDR_ANY;
    else if (every.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&every)->sin6_addr = in6addr_any;
    return every;
}

static void live(struct living *living)
{
    const struct scenario *scenario = living->scenario;
    struct sockaddr_storage every;

    do_socket(living);
    switch (scenario->life) {
    case LIFE_SOCKET:
        break;
    case LIFE_CONNECT:
        if (scenario->open)
            do_bind(living, &scenario->local);
        do_connect(living, &scenario->remote);
        break;
    case LIFE_LISTEN:
        do_bind(living, &scenario->local);
        if (!is_datagram(scenario))
            do_listen(living);
        break;
    case LIFE_ACCEPT:
        every = wildcard(&scenario->local);
        do_bind(living, &every);
        do_listen(living);
        do_accept(living);
        break;
    }
}

/* --- the program's own setsockopt() at the end of it ------------------------------------------ */

/* What preload/learn.c, learn_history(), finds out of such a socket. */
static struct sockinfo sockinfo_at_end(const struct living *living)
{
    static const uint8_t roles[] = {[LIFE_CONNECT] = ROLE_CONNECT,
                                    [LIFE_LISTEN] = ROLE_LISTEN | ROLE_ACCEPT,
                                    [LIFE_ACCEPT] = ROLE_ACCEPT};
    const struct scenario *scenario = living->scenario;
    struct sockinfo sockinfo = {.roles = ROLE_ALL,
                                .families = (uint8_t)family_bit_of(scenario->domain),
                                .protocols = PROTOCOL_ALL};

    sockinfo_learn_type(&sockinfo, PHASE_SOCKET, scenario->domain, scenario->type,
                        living->protocol);
    if (is_datagram(scenario)) {
        sockinfo.known |= FACT_ROLE;
    } else if (scenario->life != LIFE_SOCKET) {
        sockinfo.roles = roles[scenario->life];
        sockinfo.known |= FACT_ROLE;
    } else {
        sockinfo.unavailable |= FACT_ROLE;
    }
    return sockinfo;
}

static bool is_guarded(const struct living *living, const struct active *active, uint32_t option)
{
    struct sockinfo sockinfo = sockinfo_at_end(living);
    bool swallow;
    unsigned missing;

    while ((missing = match_guard(living->policy, active, &sockinfo, option, &swallow)))
        learn(living, &sockinfo, missing, PHASE_CONNECT);
    return swallow;
}

/* The `force` that won, or else the last `ignore` that swallows by itself. */
static uint32_t reason(const struct living *living, uint32_t option)
{
    const struct policy *policy = living->policy;
    uint32_t winner = living->given[option].effect.action;

    if (winner != NO_ACTION && policy->actions[winner].mode == MODE_FORCE)
        return winner;
    for (uint32_t i = living->active->count; i-- > 0;) {
        const struct active alone = {&living->active->rules[i], 1};
        const struct policy_range actions = policy->rules[*alone.rules].actions;

        if (!is_guarded(living, &alone, option))
            continue;
        for (uint32_t a = actions.first; a < actions.first + actions.count; a++)
            if (policy->actions[a].option == option &&
                (policy->actions[a].mode == MODE_IGNORE || policy->actions[a].mode == MODE_FORCE))
                return a;
    }
    return NO_ACTION;
}

/* --- its report ------------------------------------------------------------------------------- */

/* Of TCP and MPTCP, once there is a connection or a listener: preload/record.c. */
static uint32_t reporting_rule(const struct living *living)
{
    struct sockinfo sockinfo = sockinfo_at_end(living);
    uint32_t number;
    unsigned missing;

    if (living->scenario->life == LIFE_SOCKET || (sockinfo.families & FAMILY_IP) == 0 ||
        (sockinfo.protocols & (PROTOCOL_TCP | PROTOCOL_MPTCP)) == 0)
        return NO_REPORT;
    while ((missing = match_report(living->policy, living->active, &sockinfo, &number)))
        learn(living, &sockinfo, missing, PHASE_CONNECT);
    return number == NO_REPORT ? NO_REPORT : report_rule(living->policy, living->active, number);
}

/* --- the result ------------------------------------------------------------------------------- */

static int by_order(const void *one, const void *other)
{
    const struct given *a = one, *b = other;

    return (a->order > b->order) - (a->order < b->order);
}

static void begin(struct living *living, const struct policy *policy, const struct active *active,
                  const struct scenario *scenario)
{
    *living = (struct living){
        .policy = policy, .active = active, .scenario = scenario, .protocol = scenario->protocol};
    for (uint32_t i = 0; i < policy->option_count; i++)
        living->given[i].effect.action = living->pristine[i] = NO_ACTION;
}

static void tell_effects(struct living *living, struct outcome *outcome)
{
    uint32_t count = living->policy->option_count;

    outcome->effect_count = 0;
    qsort(living->given, count, sizeof *living->given, by_order);
    for (uint32_t i = 0; i < count; i++)
        if (living->given[i].effect.action != NO_ACTION)
            outcome->effects[outcome->effect_count++] = living->given[i].effect;
}

void simulate(const struct policy *policy, const struct active *active,
              const struct scenario *scenario, struct outcome *outcome)
{
    struct living living;

    begin(&living, policy, active, scenario);
    live(&living);
    outcome->guard_count = 0;
    for (uint32_t i = 0; i < policy->option_count; i++)
        if (is_guarded(&living, active, i))
            outcome->guards[outcome->guard_count++] = (struct guard){i, reason(&living, i)};
    outcome->report = reporting_rule(&living);
    tell_effects(&living, outcome);
}

void simulate_effects(const struct policy *policy, const struct active *active,
                      const struct scenario *scenario, struct outcome *outcome)
{
    struct living living;

    begin(&living, policy, active, scenario);
    live(&living);
    outcome->guard_count = 0;
    outcome->report = NO_REPORT;
    tell_effects(&living, outcome);
}
