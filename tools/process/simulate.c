/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: the engine runs on a socket that exists in memory alone (fake_socket.h). The
 * calls follow one another as in a program; each does what the hook of that call does
 * (preload/hook_*.c), and then what the kernel would do to the socket. The engine reports which
 * action was carried out at which call; `given` holds the last one of each option. accept() strikes
 * out what is not inherited.
 */
#include "simulate.h"
#include "apply.h"
#include "compat.h"
#include "fake_socket.h"
#include "fallback.h"
#include "learn.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct given {
    struct effect effect; /* action NO_ACTION: nothing was given */
    unsigned order;
};

struct simulation {
    const struct policy *policy;
    const struct active *active;
    const struct scenario *scenario;
    struct fake_socket fake;
    struct socket_handle socket;                       /* of it */
    struct default_value defaults[POLICY_OPTIONS_MAX]; /* by option: after socket() */
    struct given given[POLICY_OPTIONS_MAX];            /* by option */
    bool makes_up; /* what an earlier call should have given is given now, at accept() */
    unsigned order;
};

/* The engine's side */

/* An action that is given once more changes nothing. */
static void note_given(struct simulation *simulation, const struct policy_action *action,
                       enum phase phase)
{
    struct given *given = &simulation->given[action->option];
    uint32_t index = (uint32_t)(action - simulation->policy->actions);
    if (simulation->makes_up)
        phase = PHASE_ACCEPT;
    if (given->effect.action != index)
        *given = (struct given){.effect = {.action = index, .phase = phase},
                                .order = ++simulation->order};
}

static void note_result(const struct application *application, const struct policy_action *action,
                        enum phase phase, enum applied result, int error)
{
    (void)error;
    if (result == APPLIED_SET)
        note_given(application->context, action, phase);
}

/* Is it known what a bound is to be compared with? A later bound stands against an earlier one. */
static bool is_known(const struct simulation *simulation, uint32_t option)
{
    const struct default_value *initial = simulation->scenario->initial;
    uint32_t given = simulation->given[option].effect.action;
    return (initial != NULL && initial[option].length != 0) ||
           (given != NO_ACTION && !policy_is_bound(&simulation->policy->actions[given]));
}

/* A socket that is there already has its address: whether `source` would have given it one does not
 * show by binding it. */
static bool wants_action(const struct application *application, const struct policy_action *action,
                         enum phase phase)
{
    struct simulation *simulation = application->context;
    struct address source;
    if (policy_is_argument(action))
        return false;
    if (policy_is_bound(action) && !is_known(simulation, action->option))
        return true;
    if (action->op != OP_SOURCE || !simulation->scenario->open)
        return !apply_yields(application, action, phase);
    memcpy(&source, policy_string(application->policy, action->value), sizeof source);
    if (address_is_v4(&source) == address_is_v4(&application->sockinfo->remote))
        note_given(simulation, action, phase);
    return false;
}

static void decide_phases(const struct simulation *simulation, struct sockinfo *sockinfo,
                          unsigned phases, struct decision *decision)
{
    learn_decision(simulation->policy, simulation->active, &simulation->socket, sockinfo,
                   (enum phase)__builtin_ctz(phases), phases, decision);
}

static void carry_out(struct simulation *simulation, const struct sockinfo *sockinfo,
                      const struct decision *decision, unsigned phases)
{
    const struct application application = {.policy = simulation->policy,
                                            .sockinfo = sockinfo,
                                            .socket = &simulation->socket,
                                            .phases = phases,
                                            .defaults = simulation->defaults,
                                            .one_kind = true,
                                            .wants = wants_action,
                                            .report = note_result,
                                            .context = simulation};
    apply_actions(&application, decision);
}

static void tune_phases(struct simulation *simulation, struct sockinfo *sockinfo, unsigned phases)
{
    struct decision decision;
    decide_phases(simulation, sockinfo, phases, &decision);
    carry_out(simulation, sockinfo, &decision, phases);
}

/* Give the fake socket what the kernel gives a new one. */
static void begin_option(struct simulation *simulation, uint32_t option)
{
    const struct policy_option *which = &simulation->policy->options[option];
    const struct default_value *initial = simulation->scenario->initial;
    if (initial != NULL && initial[option].length != 0)
        fake_socket_put(&simulation->fake, which->level, which->optname, initial[option].bytes,
                        initial[option].length);
}

/* The calls */

/* A `transport` makes it another socket, before any option is set. */
static void change_transport(struct simulation *simulation, struct sockinfo *sockinfo,
                             const struct decision *decision)
{
    const struct policy_action *action = apply_transport(simulation->policy, decision, sockinfo);
    struct fake_socket *fake = &simulation->fake;
    if (action == NULL)
        return;
    note_given(simulation, action, PHASE_SOCKET);
    if (simulation->scenario->open)
        return;
    memcpy(&fake->protocol, policy_string(simulation->policy, action->value),
           sizeof fake->protocol);
    sockinfo->protocols = (uint16_t)protocol_bit_of(fake->domain, fake->type, fake->protocol);
}

static void do_socket(struct simulation *simulation)
{
    const struct scenario *scenario = simulation->scenario;
    struct sockinfo sockinfo;
    struct decision decision;
    if (!sockinfo_at_socket(&sockinfo, scenario->domain, scenario->type, scenario->protocol))
        return;
    decide_phases(simulation, &sockinfo, PHASE_BIT(PHASE_SOCKET), &decision);
    change_transport(simulation, &sockinfo, &decision);
    carry_out(simulation, &sockinfo, &decision, PHASE_BIT(PHASE_SOCKET));
    defaults_note(&simulation->socket, simulation->policy, simulation->defaults);
}

static void do_bind(struct simulation *simulation, const struct sockaddr_storage *local)
{
    struct sockinfo sockinfo;
    if (sockinfo_at_address(&sockinfo, PHASE_BIND, (const struct sockaddr *)local, sizeof *local))
        tune_phases(simulation, &sockinfo, PHASE_BIT(PHASE_BIND));
    simulation->fake.local = *local;
}

static void enter_trials(const struct simulation *simulation, struct sockinfo *sockinfo)
{
    const struct policy_trial *arm = simulation->scenario->arm;
    if (arm == NULL)
        return;
    sockinfo->moment.forced = (uint8_t)(arm->arm + 1);
    sockinfo->moment.forced_trial = (uint8_t)arm->number;
    sockinfo->known |= FACT_MOMENT;
}

/* Decided once: before the call, for after it too. */
static void do_connect(struct simulation *simulation, const struct sockaddr_storage *remote)
{
    const unsigned before = PHASE_BIT(PHASE_CONNECT), after = PHASE_BIT(PHASE_CONNECTED);
    struct sockinfo sockinfo;
    struct decision decision;
    bool ours = sockinfo_at_address(&sockinfo, PHASE_CONNECT, (const struct sockaddr *)remote,
                                    sizeof *remote);
    enter_trials(simulation, &sockinfo);
    if (ours) {
        decide_phases(simulation, &sockinfo, before | after, &decision);
        carry_out(simulation, &sockinfo, &decision, before);
    }
    simulation->fake.remote = *remote;
    simulation->fake.state = FAKE_CONNECTED;
    if (ours)
        carry_out(simulation, &sockinfo, &decision, after);
}

static void do_listen(struct simulation *simulation)
{
    const struct policy_action *backlog;
    struct sockinfo sockinfo;
    struct decision decision;
    sockinfo_at_listen(&sockinfo);
    decide_phases(simulation, &sockinfo, PHASE_BIT(PHASE_LISTEN), &decision);
    carry_out(simulation, &sockinfo, &decision, PHASE_BIT(PHASE_LISTEN));
    /* What the program passes is not known: a bound counts as given. */
    apply_backlog(simulation->policy, &decision, &sockinfo, 0, &backlog);
    if (backlog != NULL)
        note_given(simulation, backlog, PHASE_LISTEN);
    simulation->fake.state = FAKE_LISTENS;
    tune_phases(simulation, &sockinfo, PHASE_BIT(PHASE_LISTENING));
}

/* A listener of MPTCP accepts a peer that does not speak it as a TCP socket. */
static void fall_back(struct simulation *simulation, unsigned later)
{
    struct sockinfo sockinfo;
    struct decision decision;
    simulation->fake.protocol = IPPROTO_TCP;
    fallback_decide(simulation->policy, simulation->active, &simulation->socket, later, &sockinfo,
                    &decision);
    simulation->makes_up = true;
    carry_out(simulation, &sockinfo, &decision, FALLBACK_PHASES);
    simulation->makes_up = false;
}

/* The listener has every address, so PHASE_ACCEPT_WILDCARD is due as well. */
static void do_accept(struct simulation *simulation)
{
    const unsigned due = PHASE_BIT(PHASE_ACCEPT) | PHASE_BIT(PHASE_ACCEPT_WILDCARD);
    const struct policy *policy = simulation->policy;
    struct sockinfo sockinfo;
    for (uint32_t i = 0; i < policy->option_count; i++) {
        simulation->given[i].effect.inherited = true;
        if (!(policy->options[i].flags & OPTION_INHERITED)) {
            simulation->given[i].effect.action = NO_ACTION;
            fake_socket_unset(&simulation->fake, policy->options[i].level,
                              policy->options[i].optname);
            begin_option(simulation, i);
        }
    }
    simulation->fake.local = simulation->scenario->local;
    simulation->fake.remote = simulation->scenario->remote;
    simulation->fake.state = FAKE_ACCEPTED;
    if (simulation->scenario->falls_back && simulation->fake.protocol == IPPROTO_MPTCP)
        fall_back(simulation, due);
    sockinfo_at_accept(&sockinfo);
    enter_trials(simulation, &sockinfo);
    tune_phases(simulation, &sockinfo, due);
}

static bool is_datagram(const struct scenario *scenario)
{
    return protocol_bit_of(scenario->domain, scenario->type, scenario->protocol) &
           PROTOCOL_DATAGRAM;
}

/* The address of the listener that accepts: every one, at the same port. */
static struct sockaddr_storage wildcard_of(const struct sockaddr_storage *local)
{
    struct sockaddr_storage every = *local;
    if (every.ss_family == AF_INET)
        ((struct sockaddr_in *)&every)->sin_addr.s_addr = INADDR_ANY;
    else if (every.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&every)->sin6_addr = in6addr_any;
    return every;
}

static void replay_calls(struct simulation *simulation)
{
    const struct scenario *scenario = simulation->scenario;
    struct sockaddr_storage every;
    do_socket(simulation);
    switch (scenario->history) {
    case HISTORY_SOCKET:
        break;
    case HISTORY_CONNECT:
        if (scenario->open)
            do_bind(simulation, &scenario->local);
        do_connect(simulation, &scenario->remote);
        break;
    case HISTORY_LISTEN:
        do_bind(simulation, &scenario->local);
        if (!is_datagram(scenario))
            do_listen(simulation);
        break;
    case HISTORY_ACCEPT:
        every = wildcard_of(&scenario->local);
        do_bind(simulation, &every);
        do_listen(simulation);
        do_accept(simulation);
        break;
    }
}

/* The program's own setsockopt() at the end of it */

static bool is_guarded(const struct simulation *simulation, const struct active *active,
                       uint32_t option)
{
    struct sockinfo sockinfo;
    struct guard guard;
    return learn_guard(simulation->policy, active, &simulation->socket, option, &sockinfo, &guard);
}

/* The `force` or bound that won, or else the last statement that holds by itself. */
static uint32_t guard_reason(const struct simulation *simulation, uint32_t option)
{
    const struct policy *policy = simulation->policy;
    uint32_t winner = simulation->given[option].effect.action;
    if (winner != NO_ACTION && policy_is_guard(&policy->actions[winner]))
        return winner;
    for (uint32_t i = simulation->active->count; i-- > 0;) {
        const struct active alone = {&simulation->active->rules[i], 1};
        const struct policy_range actions = policy->rules[*alone.rules].actions;
        if (!is_guarded(simulation, &alone, option))
            continue;
        for (uint32_t a = actions.first; a < actions.first + actions.count; a++)
            if (policy->actions[a].option == option && policy_is_guard(&policy->actions[a]))
                return a;
    }
    return NO_ACTION;
}

/* Its report */

/* Of TCP and MPTCP, once there is a connection or a listener, and of UDP: preload/wire/record.c. */
static uint32_t reporting_rule(const struct simulation *simulation)
{
    struct sockinfo sockinfo;
    uint32_t number;
    if (simulation->scenario->history == HISTORY_SOCKET ||
        !learn_history(&simulation->socket, &sockinfo) || (sockinfo.families & FAMILY_IP) == 0 ||
        (sockinfo.protocols & (PROTOCOL_TCP | PROTOCOL_MPTCP | PROTOCOL_UDP)) == 0)
        return NO_REPORT;
    enter_trials(simulation, &sockinfo);
    number = learn_report(simulation->policy, simulation->active, &simulation->socket, &sockinfo,
                          PHASE_CONNECT);
    return number == NO_REPORT ? NO_REPORT
                               : report_rule(simulation->policy, simulation->active, number);
}

/* The result */

static int by_order(const void *one, const void *other)
{
    const struct given *a = one, *b = other;
    return (a->order > b->order) - (a->order < b->order);
}

static void begin_simulation(struct simulation *simulation, const struct policy *policy,
                             const struct active *active, const struct scenario *scenario)
{
    *simulation = (struct simulation){.policy = policy,
                                      .active = active,
                                      .scenario = scenario,
                                      .fake = {.domain = scenario->domain,
                                               .type = scenario->type,
                                               .protocol = scenario->protocol}};
    simulation->socket = fake_socket_handle(&simulation->fake);
    for (uint32_t i = 0; i < policy->option_count; i++) {
        simulation->given[i].effect.action = NO_ACTION;
        begin_option(simulation, i);
    }
}

static void list_effects(struct simulation *simulation, struct outcome *outcome)
{
    uint32_t count = simulation->policy->option_count;
    outcome->effect_count = 0;
    qsort(simulation->given, count, sizeof *simulation->given, by_order);
    for (uint32_t i = 0; i < count; i++)
        if (simulation->given[i].effect.action != NO_ACTION)
            outcome->effects[outcome->effect_count++] = simulation->given[i].effect;
}

void simulate_socket(const struct policy *policy, const struct active *active,
                     const struct scenario *scenario, struct outcome *outcome)
{
    struct simulation simulation;
    begin_simulation(&simulation, policy, active, scenario);
    replay_calls(&simulation);
    outcome->guard_count = 0;
    for (uint32_t i = 0; i < policy->option_count; i++)
        if (is_guarded(&simulation, active, i))
            outcome->guards[outcome->guard_count++] =
                (struct guarded_option){i, guard_reason(&simulation, i)};
    outcome->report = reporting_rule(&simulation);
    list_effects(&simulation, outcome);
}

void simulate_effects(const struct policy *policy, const struct active *active,
                      const struct scenario *scenario, struct outcome *outcome)
{
    struct simulation simulation;
    begin_simulation(&simulation, policy, active, scenario);
    replay_calls(&simulation);
    outcome->guard_count = 0;
    outcome->report = NO_REPORT;
    list_effects(&simulation, outcome);
}

bool simulate_arm(const struct policy *policy, const struct active *active, uint32_t rule,
                  const struct scenario *scenario, struct outcome *outcome)
{
    const struct active alone = {&rule, 1};
    struct scenario in_arm = *scenario;
    uint32_t kept = 0;
    if (policy->rules[rule].trial.count == 0)
        return false;
    in_arm.arm = &policy->trials[policy->rules[rule].trial.first];
    /* Arms are reported, so a socket that the rule matches is one that it reports. */
    simulate_socket(policy, &alone, &in_arm, outcome);
    if (outcome->report != rule)
        return false;
    simulate_effects(policy, active, &in_arm, outcome);
    for (uint32_t i = 0; i < outcome->effect_count; i++)
        if (policy_rule_of_action(policy, outcome->effects[i].action) == &policy->rules[rule])
            outcome->effects[kept++] = outcome->effects[i];
    outcome->effect_count = kept;
    return true;
}
