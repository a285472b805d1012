/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: first all actions that are due are examined, then those that win are carried
 * out. So a value that the program has set is not confused with the effect of another action
 * (IP_TOS changes SO_PRIORITY).
 */
#include "apply.h"

#include "bound.h"
#include "bytes.h"
#include "compat.h"
#include "learn.h"

#include <errno.h>
#include <netinet/in.h>

void apply_drop_early(const struct policy *policy, struct decision *decision)
{
    for (uint32_t i = 0; i < policy->option_count; i++)
        if ((policy->options[i].flags & OPTION_EARLY) != 0)
            decision->action[i] = NO_ACTION;
}

const struct policy_action *apply_transport(const struct policy *policy,
                                            const struct decision *decision,
                                            const struct sockinfo *sockinfo)
{
    for (uint32_t i = 0; i < policy->option_count; i++) {
        if (policy->options[i].level != LEVEL_SOCKTUNE || decision->action[i] == NO_ACTION)
            continue;
        const struct policy_action *action = &policy->actions[decision->action[i]];
        if (action->op == OP_TRANSPORT && action_applies(action, sockinfo, PHASE_SOCKET))
            return action;
    }
    return NULL;
}

int apply_backlog(const struct policy *policy, const struct decision *decision,
                  const struct sockinfo *sockinfo, int backlog, const struct policy_action **action)
{
    int wanted;
    *action = NULL;
    for (uint32_t i = 0; i < policy->option_count && *action == NULL; i++) {
        if (policy->options[i].level != LEVEL_SOCKTUNE || decision->action[i] == NO_ACTION)
            continue;
        const struct policy_action *given = &policy->actions[decision->action[i]];
        if (given->op == OP_BACKLOG && action_applies(given, sockinfo, PHASE_LISTEN))
            *action = given;
    }
    if (*action == NULL || bound_admits_backlog(policy, *action, backlog))
        return backlog;
    __builtin_memcpy(&wanted, policy_string(policy, (*action)->value), sizeof wanted);
    return wanted;
}

/* True if the option is for the socket's family and protocol. At connect() they may be unknown;
 * then the kernel refuses a TCP option on a UDP socket. On an MPTCP socket, a TCP option counts as
 * wanted by the rule. */
static bool concerns_socket(const struct application *application,
                            const struct policy_action *action)
{
    struct sockinfo sockinfo = *application->sockinfo;
    learn_facts(application->socket, &sockinfo, FACT_PROTOCOL, PHASE_SOCKET);
    if ((sockinfo.protocols & PROTOCOL_MPTCP) != 0)
        sockinfo.protocols |= PROTOCOL_TCP;
    return (action->families & sockinfo.families) != 0 &&
           (action->protocols & sockinfo.protocols) != 0;
}

bool apply_is_required(const struct application *application, const struct policy_action *action,
                       enum phase phase)
{
    uint32_t index = (uint32_t)(action - application->policy->actions);
    const struct policy_rule *rule = policy_rule_of_action(application->policy, index);
    return (rule->flags & RULE_REQUIRE) != 0 &&
           (phase != PHASE_BIND || rule->roles != ROLE_CONNECT) &&
           concerns_socket(application, action);
}

/* Choosing */

/* Returns the action that is due for option `i`, or NULL. `phase` becomes the first of its phases
 * that is due. */
static const struct policy_action *find_due_action(const struct application *application,
                                                   const struct decision *decision, uint32_t i,
                                                   enum phase *phase)
{
    if (decision->action[i] == NO_ACTION)
        return NULL;
    const struct policy_action *action = &application->policy->actions[decision->action[i]];
    unsigned now = action->phases & application->phases;
    if (now == 0)
        return NULL;
    *phase = (enum phase)__builtin_ctz(now);
    return action_applies(action, application->sockinfo, *phase) ? action : NULL;
}

static const struct default_value *known_default(const struct application *application,
                                                 uint32_t option)
{
    static const struct default_value unknown;
    const struct default_value *defaults = application->defaults;
    if (defaults == NULL)
        return &unknown;
    if (!application->one_kind)
        defaults += defaults_kind(application->socket, application->sockinfo) *
                    (size_t)application->policy->option_count;
    return &defaults[option];
}

static enum default_comparison compare_with_default(const struct application *application,
                                                    const struct policy_action *action)
{
    const struct policy_option *option = &application->policy->options[action->option];
    const struct default_value *known = known_default(application, action->option);
    struct default_value now;
    enum default_comparison comparison = defaults_compare(application->socket, option, known);
    if (comparison != DEFAULT_SAME && application->fresh_value != NULL &&
        application->fresh_value(application, action->option, &now))
        comparison = defaults_compare(application->socket, option, &now);
    return comparison;
}

/* True if the program cannot have set the option yet: at socket(), and on an accepted socket unless
 * it inherits the option from its listener. */
static bool is_untouchable(const struct policy_option *option, enum phase phase)
{
    return phase == PHASE_SOCKET ||
           (phase == PHASE_ACCEPT && (option->flags & OPTION_INHERITED) == 0);
}

/* True if the socket's value is within the bound. False if it cannot be read. */
static bool is_within(const struct application *application, const struct policy_action *action)
{
    struct default_value now;
    return defaults_note_one(application->socket, &application->policy->options[action->option],
                             &now) &&
           bound_admits_read_value(application->policy, action, now.bytes, now.length);
}

bool apply_yields(const struct application *application, const struct policy_action *action,
                  enum phase phase)
{
    if (policy_is_bound(action) && !policy_is_argument(action))
        return is_within(application, action);
    if (application->timing == APPLY_LATE)
        return action->mode != MODE_FORCE &&
               compare_with_default(application, action) == DEFAULT_DIFFERS;
    if (action->mode != MODE_DEFAULT)
        return false;
    if (application->timing == APPLY_IN_TIME &&
        is_untouchable(&application->policy->options[action->option], phase))
        return false;
    return compare_with_default(application, action) != DEFAULT_SAME;
}

static void report_result(const struct application *application, const struct policy_action *action,
                          enum phase phase, enum applied result, int error)
{
    if (application->report != NULL)
        application->report(application, action, phase, result, error);
}

static bool is_wanted(const struct application *application, const struct policy_action *action,
                      enum phase phase)
{
    if (application->wants != NULL)
        return application->wants(application, action, phase);
    if (policy_is_argument(action)) /* the call itself takes it */
        return false;
    if (!apply_yields(application, action, phase))
        return true;
    report_result(application, action, phase, APPLIED_KEPT, 0);
    return false;
}

/* Carrying out */

uint32_t apply_value(const struct policy *policy, const struct policy_action *action,
                     const void *now, uint32_t length, uint8_t *value)
{
    const char *given = policy_string(policy, action->value);
    if (action->op != OP_MERGE) {
        for (uint32_t i = 0; i < action->length; i++)
            value[i] = (uint8_t)given[i];
        return action->length;
    }
    uint32_t bits, kept;
    if (length != sizeof kept)
        return 0;
    __builtin_memcpy(&kept, now, sizeof kept);
    __builtin_memcpy(&bits, given, sizeof bits);
    bits = (kept & ~action->mask) | (bits & action->mask);
    __builtin_memcpy(value, &bits, sizeof bits);
    return sizeof bits;
}

/* The kernel pads names and doubles buffer sizes. */
bool apply_has_value(const struct policy *policy, const struct policy_action *action,
                     const struct default_value *now)
{
    uint8_t given[POLICY_VALUE_MAX];
    uint32_t length = apply_value(policy, action, now->bytes, now->length, given), number;
    if (defaults_is_buffer(&policy->options[action->option]) && length == sizeof number) {
        __builtin_memcpy(&number, given, sizeof number);
        number *= 2;
        __builtin_memcpy(given, &number, sizeof number);
    }
    if (length == 0 || now->length < length || !bytes_equal(given, now->bytes, length))
        return false;
    while (length < now->length && now->bytes[length] == 0)
        length++;
    return length == now->length;
}

static int set_merged(const struct socket_handle *socket, const struct policy *policy,
                      const struct policy_action *action)
{
    const struct policy_option *option = &policy->options[action->option];
    uint8_t value[sizeof(uint32_t)];
    uint32_t now = 0;
    socklen_t length = sizeof now;
    if (socket->ops->get(socket, option->level, option->optname, &now, &length) != 0 ||
        apply_value(policy, action, &now, length, value) == 0)
        return -1;
    return socket->ops->set(socket, option->level, option->optname, value, sizeof value);
}

static void carry_out_action(const struct application *application,
                             const struct policy_action *action, enum phase phase)
{
    const struct policy *policy = application->policy;
    const struct policy_option *option = &policy->options[action->option];
    int failed =
        action->op == OP_MERGE
            ? set_merged(application->socket, policy, action)
            : application->socket->ops->set(application->socket, option->level, option->optname,
                                            policy_string(policy, action->value), action->length);
    report_result(application, action, phase, failed == 0 ? APPLIED_SET : APPLIED_FAILED,
                  failed == 0 ? 0 : errno);
}

/* Binds an unbound socket to the rule's source address with any port. The port is chosen at
 * connect(), as without bind(). */
static void bind_source(const struct application *application, const struct policy_action *action,
                        enum phase phase)
{
    const struct sockinfo *sockinfo = application->sockinfo;
    struct sockinfo bound = {.families = sockinfo->families};
    struct address source;
    const struct socket_handle *socket = application->socket;
    const int on = 1;
    int failed;
    learn_facts(socket, &bound, FACT_LOCAL, PHASE_CONNECT);
    __builtin_memcpy(&source, policy_string(application->policy, action->value), sizeof source);
    if ((bound.known & FACT_LOCAL) != 0 ||
        address_is_v4(&source) != address_is_v4(&sockinfo->remote)) {
        if (apply_is_required(application, action, phase) &&
            !bytes_equal(bound.local.bytes, source.bytes, sizeof source.bytes))
            report_result(application, action, phase, APPLIED_FAILED, EADDRNOTAVAIL);
        return;
    }
    socket->ops->set(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (sockinfo->families == FAMILY_INET) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        __builtin_memcpy(&address.sin_addr, source.bytes + 12, sizeof address.sin_addr);
        failed = socket->ops->bind(socket, (struct sockaddr *)&address, sizeof address);
    } else {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6};
        __builtin_memcpy(&address.sin6_addr, source.bytes, sizeof address.sin6_addr);
        failed = socket->ops->bind(socket, (struct sockaddr *)&address, sizeof address);
    }
    report_result(application, action, phase, failed == 0 ? APPLIED_SET : APPLIED_FAILED,
                  failed == 0 ? 0 : errno);
}

bool apply_now(const struct application *application, const struct policy_action *action)
{
    const struct policy_option *option = &application->policy->options[action->option];
    const struct socket_handle *socket = application->socket;
    struct default_value now;
    if (option->level == LEVEL_SOCKTUNE)
        return false;
    if (defaults_note_one(socket, option, &now) &&
        apply_has_value(application->policy, action, &now))
        return true;
    if (action->op == OP_MERGE)
        return set_merged(socket, application->policy, action) == 0;
    return socket->ops->set(socket, option->level, option->optname,
                            policy_string(application->policy, action->value), action->length) == 0;
}

/* IP_TOS and SO_PRIORITY */

static bool is_option(const struct policy *policy, uint32_t index, int level, int optname)
{
    return policy->options[index].level == level && policy->options[index].optname == optname;
}

/* A set of option indices. */
struct option_set {
    uint64_t bits[POLICY_OPTIONS_MAX / 64];
};

static bool is_in_set(const struct option_set *set, uint32_t option)
{
    return (set->bits[option / 64] >> option % 64 & 1) != 0;
}

/*
 * The kernel changes SO_PRIORITY when IP_TOS is set. Returns true if the socket's priority must be
 * preserved: a rule sets one but not now, or the program has set it.
 */
static bool priority_stands(const struct application *application, const struct decision *decision,
                            const struct option_set *carried_out)
{
    const struct policy *policy = application->policy;
    if (application->timing != APPLY_IN_TIME &&
        socket_get_int(application->socket, SOL_SOCKET, SO_PRIORITY) != 0)
        return true;
    for (uint32_t i = 0; i < policy->option_count; i++)
        if (decision->action[i] != NO_ACTION && is_option(policy, i, SOL_SOCKET, SO_PRIORITY))
            return !is_in_set(carried_out, i);
    return false;
}

static void set_tos(const struct application *application, const struct policy_action *action,
                    enum phase phase, bool keep_priority)
{
    const struct socket_handle *socket = application->socket;
    int priority = keep_priority ? socket_get_int(socket, SOL_SOCKET, SO_PRIORITY) : -1;
    carry_out_action(application, action, phase);
    if (priority >= 0)
        socket->ops->set(socket, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
}

/* The whole application */

static void choose_actions(const struct application *application, const struct decision *decision,
                           struct option_set *carried_out)
{
    for (uint32_t i = 0; i < application->policy->option_count; i++) {
        enum phase phase;
        const struct policy_action *action = find_due_action(application, decision, i, &phase);
        if (action != NULL && is_wanted(application, action, phase))
            carried_out->bits[i / 64] |= (uint64_t)1 << i % 64;
    }
}

void apply_actions(const struct application *application, const struct decision *decision)
{
    const struct policy *policy = application->policy;
    const struct policy_action *source = NULL;
    struct option_set carried_out = {{0}};
    choose_actions(application, decision, &carried_out);
    for (uint32_t i = 0; i < policy->option_count; i++) {
        if (!is_in_set(&carried_out, i))
            continue;
        const struct policy_action *action = &policy->actions[decision->action[i]];
        enum phase phase = (enum phase)__builtin_ctz(action->phases & application->phases);
        if (action->op == OP_SOURCE)
            source = action;
        else if (is_option(policy, i, IPPROTO_IP, IP_TOS))
            set_tos(application, action, phase,
                    priority_stands(application, decision, &carried_out));
        else
            carry_out_action(application, action, phase);
    }
    /* Set before bind() whatever must precede it. */
    if (source != NULL)
        bind_source(application, source, PHASE_CONNECT);
}
