/* SPDX-License-Identifier: MIT */
/*
 * Undoing needs a new socket, to read the values of socket() and to try a rule's value. It is
 * created only if there is something to undo.
 */
#include "undo.h"

#include "bytes.h"
#include "compat.h"
#include "learn.h"
#include "take_defaults.h"

#include <linux/socket.h>
#include <netinet/in.h>

enum { CONNECT_PHASES = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED) };

enum { BITS = 29 };

static uint32_t option_number(const struct policy_option *option)
{
    return (uint32_t)option->level * BITS + (uint32_t)option->optname;
}

uint32_t undo_bit_of_option(const struct policy *policy, uint32_t option)
{
    return (uint32_t)1 << option_number(&policy->options[option]) % BITS;
}

/* A hash of the option and a part of the value. */
uint32_t undo_bit_of_action(const struct policy *policy, uint32_t index)
{
    const struct policy_action *action = &policy->actions[index];
    const uint8_t *value = (const uint8_t *)policy_string(policy, action->value);
    uint32_t number = option_number(&policy->options[action->option]);
    for (uint32_t i = 0; i < 2 && i < action->length; i++)
        number = number * 7 + value[i];
    return (uint32_t)1 << number % BITS;
}

/* True if the action is one that rules on a peer carry out. */
static bool is_given_at_connect(const struct policy_action *action)
{
    return action->mode != MODE_IGNORE && (action->phases & CONNECT_PHASES) != 0;
}

/* True if the decision sets the option again, so there is nothing to undo. */
static bool is_given_again(const struct application *application, const struct decision *decision,
                           uint32_t option)
{
    uint32_t index = decision->action[option];
    const struct policy_action *action = &application->policy->actions[index];
    return index != NO_ACTION && is_given_at_connect(action) &&
           (action_applies(action, application->sockinfo, PHASE_CONNECT) ||
            action_applies(action, application->sockinfo, PHASE_CONNECTED));
}

/* The value of one option on a new socket, and related values. */
struct initial {
    struct default_value value;
    int buffer_locks; /* SO_BUF_LOCK; -1: no buffer, or unknown */
    int priority;     /* SO_PRIORITY, which IP_TOS changes; -1: another option */
};

static bool note_initial(const struct socket_handle *fresh, const struct policy_option *option,
                         struct initial *initial)
{
    bool is_tos = option->level == IPPROTO_IP && option->optname == IP_TOS;
    initial->buffer_locks =
        defaults_is_buffer(option) ? socket_get_int(fresh, SOL_SOCKET, SO_BUF_LOCK) : -1;
    initial->priority = is_tos ? socket_get_int(fresh, SOL_SOCKET, SO_PRIORITY) : -1;
    return defaults_note_one(fresh, option, &initial->value);
}

static void set_int(const struct socket_handle *socket, int optname, int number)
{
    if (number >= 0)
        socket->ops->set(socket, SOL_SOCKET, optname, &number, sizeof number);
}

/* A buffer size is halved, since the kernel doubles it, and then autotuning is enabled again. */
static void give_initial(const struct socket_handle *socket, const struct policy_option *option,
                         const struct initial *initial)
{
    struct default_value value = initial->value;
    uint32_t number;
    if (defaults_is_buffer(option) && value.length == sizeof number) {
        __builtin_memcpy(&number, value.bytes, sizeof number);
        number /= 2;
        __builtin_memcpy(value.bytes, &number, sizeof number);
    }
    socket->ops->set(socket, option->level, option->optname, value.bytes, value.length);
    set_int(socket, SO_BUF_LOCK, initial->buffer_locks);
    set_int(socket, SO_PRIORITY, initial->priority);
}

static bool is_same_value(const struct default_value *one, const struct default_value *other)
{
    return one->length == other->length && bytes_equal(one->bytes, other->bytes, one->length);
}

/* Finds what the kernel makes of the rule's value: it rounds, caps, and keeps bits. The value is
 * set on the new socket, which is then restored. `given->value.length` is 0 if the kernel refuses
 * it. */
static void try_action(const struct application *application, const struct policy_action *action,
                       const struct socket_handle *fresh, const struct initial *initial,
                       struct initial *given)
{
    const struct policy_option *option = &application->policy->options[action->option];
    struct application on_fresh = *application;
    on_fresh.socket = fresh;
    given->value.length = 0;
    if (apply_now(&on_fresh, action))
        note_initial(fresh, option, given);
    give_initial(fresh, option, initial);
}

/* True if the action bound the socket to its address. */
static bool is_bound_by(const struct application *application, const struct policy_action *action)
{
    struct sockinfo bound = {.families = application->sockinfo->families};
    learn_facts(application->socket, &bound, FACT_LOCAL, PHASE_CONNECT);
    return (bound.known & FACT_LOCAL) != 0 &&
           bytes_equal(bound.local.bytes, policy_string(application->policy, action->value),
                       sizeof bound.local.bytes);
}

/* Binds to the wildcard address again. A socket without a port can be bound once more; a connected
 * datagram socket has a port until it is disconnected. */
static void give_up_address(const struct application *application)
{
    const struct socket_handle *socket = application->socket;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    struct sockaddr_in any4 = {.sin_family = AF_INET};
    bool v4 = application->sockinfo->families == FAMILY_INET;
    const struct sockaddr *address = v4 ? (struct sockaddr *)&any4 : (struct sockaddr *)&any;
    socklen_t length = v4 ? sizeof any4 : sizeof any;
    if (socket->ops->bind(socket, address, length) != 0 && socket->ops->disconnect(socket) == 0)
        socket->ops->bind(socket, address, length);
}

/* Creates `fresh` when it is first needed; false if that fails. */
static bool undo_option(const struct application *application, const struct policy_action *action,
                        struct socket_handle *fresh)
{
    const struct policy_option *option = &application->policy->options[action->option];
    const struct socket_handle *socket = application->socket;
    struct initial now, initial, given;
    if (!note_initial(socket, option, &now))
        return true;
    if (fresh->ops == NULL && !defaults_make_fresh(application, fresh))
        return false;
    if (!note_initial(fresh, option, &initial))
        return true;
    try_action(application, action, fresh, &initial, &given);
    if (!apply_has_value(application->policy, action, &now.value) &&
        !is_same_value(&now.value, &given.value))
        return true;
    /* Keep a priority that does not come from the rule's IP_TOS. */
    if (given.value.length != 0 && now.priority != given.priority)
        initial.priority = now.priority;
    give_initial(socket, option, &initial);
    return true;
}

static bool undo_action(const struct application *application, const struct decision *decision,
                        const struct policy_action *action, struct socket_handle *fresh)
{
    if (action->op == OP_SOURCE) {
        if (is_bound_by(application, action))
            give_up_address(application);
        return true;
    }
    return (application->policy->options[action->option].flags & OPTION_NOT_READ_BACK) != 0 ||
           is_given_again(application, decision, action->option) ||
           undo_option(application, action, fresh);
}

uint32_t undo_given(const struct policy *policy, const struct decision *decision)
{
    uint32_t given = 0;
    for (uint32_t i = 0; i < policy->option_count; i++)
        if (decision->action[i] != NO_ACTION &&
            is_given_at_connect(&policy->actions[decision->action[i]]))
            given |= undo_bit_of_action(policy, decision->action[i]);
    return given;
}

static bool may_be_left_over(const struct policy *policy, const struct decision *decision,
                             const struct undo_notes *notes, uint32_t index)
{
    const struct policy_action *action = &policy->actions[index];
    return (notes->given & undo_bit_of_action(policy, index)) != 0 &&
           (notes->own & undo_bit_of_option(policy, action->option)) == 0 &&
           is_given_at_connect(action) && decision->action[action->option] != index;
}

void undo_former_peer(const struct application *application, const struct decision *decision,
                      const struct undo_notes *notes)
{
    const struct policy *policy = application->policy;
    struct socket_handle fresh = {.ops = NULL};
    bool possible = true;
    for (uint32_t r = 0; r < application->active->count && possible; r++) {
        struct policy_range actions = policy->rules[application->active->rules[r]].actions;
        for (uint32_t a = actions.first; a < actions.first + actions.count && possible; a++)
            if (may_be_left_over(policy, decision, notes, a))
                possible = undo_action(application, decision, &policy->actions[a], &fresh);
    }
    if (fresh.ops != NULL)
        fresh.ops->drop(&fresh);
}
