/* SPDX-License-Identifier: MIT */
/*
 * When an option is set. The earlier the better: what is set at socket() is paid once, and what a
 * listener has costs its accepted sockets nothing. But a rule cannot act before it is known whether
 * the socket is one of its own, and an option not before (or after) the kernel takes it.
 */
#include "compile.h"

#include "relate.h"

enum {
    SOCKET = MOMENT_BIT(MOMENT_SOCKET),
    BIND = MOMENT_BIT(MOMENT_BIND),
    CONNECT = MOMENT_BIT(MOMENT_CONNECT),
    CONNECTED = MOMENT_BIT(MOMENT_CONNECTED),
    LISTEN = MOMENT_BIT(MOMENT_LISTEN),
    LISTENING = MOMENT_BIT(MOMENT_LISTENING),
    ACCEPT = MOMENT_BIT(MOMENT_ACCEPT),
    ACCEPT_WILDCARD = MOMENT_BIT(MOMENT_ACCEPT_WILDCARD)
};

enum { WHEN_COUNT = WHEN_AFTER + 1 };

/* Sockets of any role at socket(), before anything is known about them. */
static const unsigned at_once[WHEN_COUNT] = {[WHEN_ANY] = SOCKET,
                                             [WHEN_BIND] = SOCKET,
                                             [WHEN_HANDSHAKE] = SOCKET,
                                             [WHEN_LISTENER] = LISTEN,
                                             [WHEN_CONNECT] = CONNECT};

/* Connecting sockets. One that is not bound explicitly is bound by connect(). */
static const unsigned connecting[WHEN_COUNT] = {
    [WHEN_ANY] = CONNECT,     [WHEN_BIND] = BIND | CONNECT, [WHEN_HANDSHAKE] = CONNECT,
    [WHEN_CONNECT] = CONNECT, [WHEN_AFTER] = CONNECTED,
};

/* Listeners, for their own sake or that of what they will accept. */
static const unsigned listening[WHEN_COUNT] = {
    [WHEN_ANY] = LISTEN,      [WHEN_BIND] = BIND,       [WHEN_HANDSHAKE] = LISTEN,
    [WHEN_LISTENER] = LISTEN, [WHEN_AFTER] = LISTENING,
};

/* Accepted sockets themselves: it is too late for what belongs to the handshake; SO_RCVBUF would
 * even clamp a window that is already filled. */
static const unsigned accepted[WHEN_COUNT] = {[WHEN_ANY] = ACCEPT, [WHEN_AFTER] = ACCEPT};

/* Datagram sockets, by what their rule asks: nothing, the local or the remote address. */
static const unsigned datagram[WHEN_COUNT] = {[WHEN_ANY] = SOCKET,
                                              [WHEN_BIND] = SOCKET,
                                              [WHEN_HANDSHAKE] = SOCKET,
                                              [WHEN_CONNECT] = CONNECT,
                                              [WHEN_AFTER] = CONNECTED};
static const unsigned datagram_local[WHEN_COUNT] = {
    [WHEN_ANY] = BIND,        [WHEN_BIND] = BIND,       [WHEN_HANDSHAKE] = BIND,
    [WHEN_CONNECT] = CONNECT, [WHEN_AFTER] = CONNECTED,
};
static const unsigned datagram_remote[WHEN_COUNT] = {
    [WHEN_ANY] = CONNECT,     [WHEN_BIND] = CONNECT,    [WHEN_HANDSHAKE] = CONNECT,
    [WHEN_CONNECT] = CONNECT, [WHEN_AFTER] = CONNECTED,
};

/* An accepted socket whose rule asks for nothing that is not known of the listener, too. */
static unsigned accept_moments(const struct option *option, unsigned criteria)
{
    unsigned direct = accepted[option->when];

    switch (option->inherit) {
    case INHERIT_NONE:
        return 0;
    case INHERIT_NO:
    case INHERIT_UNWANTED:
        return direct;
    case INHERIT_YES:
        break;
    }
    if ((criteria & CRITERIA_REMOTE) != 0)
        return direct;
    /* Which of its addresses a peer will choose, a wildcard listener does not know. */
    if ((criteria & CRITERIA_LOCAL_ADDRESS) != 0 && direct != 0)
        return listening[option->when] | ACCEPT_WILDCARD;
    return listening[option->when];
}

static unsigned connect_moments(const struct option *option, unsigned criteria)
{
    unsigned moments = connecting[option->when];

    return (criteria & CRITERIA_REMOTE) != 0 ? moments & ~(unsigned)BIND : moments;
}

static unsigned datagram_moments(const struct option *option, unsigned criteria)
{
    if ((criteria & CRITERIA_REMOTE) != 0)
        return datagram_remote[option->when];
    if ((criteria & (CRITERIA_LOCAL_ADDRESS | CRITERIA_LOCAL_PORT)) != 0)
        return datagram_local[option->when];
    return datagram[option->when];
}

/* Stream sockets of all roles and criteria that socket() can decide. */
static unsigned stream_moments(const struct option *option)
{
    unsigned moments = at_once[option->when];

    if (option->when == WHEN_AFTER) {
        if ((option->roles & ROLE_CONNECT) != 0)
            moments |= CONNECTED;
        if ((option->roles & (ROLE_LISTEN | ROLE_ACCEPT)) != 0 && option->inherit != INHERIT_NO)
            moments |= LISTENING;
    }
    if (option->inherit == INHERIT_NO && (option->roles & ROLE_ACCEPT) != 0)
        moments |= accepted[option->when];
    return moments;
}

unsigned option_moments(const struct option *option, unsigned roles, unsigned criteria)
{
    unsigned meant = roles & option->roles;
    bool all = (roles & ROLE_STREAM) == ROLE_STREAM;
    unsigned moments = 0;

    if ((meant & ROLE_DATAGRAM) != 0)
        moments |= datagram_moments(option, criteria);
    if (all && criteria == 0)
        return (meant & ROLE_STREAM) != 0 ? moments | stream_moments(option) : moments;
    if ((meant & ROLE_CONNECT) != 0)
        moments |= connect_moments(option, criteria);
    if ((meant & ROLE_LISTEN) != 0)
        moments |= listening[option->when];
    if ((meant & ROLE_ACCEPT) != 0)
        moments |= accept_moments(option, criteria);
    return moments;
}

/* --- rules ---------------------------------------------------------------------------------- */

static unsigned own_criteria(const struct rule *rule)
{
    unsigned streams = rule_roles(rule) & ROLE_STREAM;
    unsigned criteria = 0;

    if (streams != 0 && streams != ROLE_STREAM)
        criteria |= CRITERIA_ROLE;
    if (rule->local.count != 0)
        criteria |= CRITERIA_LOCAL_ADDRESS;
    if (rule->local_port.count != 0)
        criteria |= CRITERIA_LOCAL_PORT;
    if (rule->remote.count != 0 || rule->remote_port.count != 0)
        criteria |= CRITERIA_REMOTE;
    return criteria;
}

unsigned rule_criteria(const struct ruleset *ruleset, size_t index)
{
    const struct rule *rule = &ruleset->rules[index];
    unsigned criteria = own_criteria(rule);

    for (size_t i = 0; i < index; i++)
        if (ruleset->rules[i].final && !rules_are_disjoint(&ruleset->rules[i], rule))
            criteria |= own_criteria(&ruleset->rules[i]);
    return criteria;
}

/* What is known of an option that only a number stands for: nothing, so it is set early, and again
 * on accepted sockets. */
static const struct option unknown_option = {.when = WHEN_ANY,
                                             .inherit = INHERIT_NO,
                                             .families = FAMILY_ALL,
                                             .protocols = PROTOCOL_ALL,
                                             .roles = ROLE_ALL};

unsigned target_moments(const struct rule *rule, unsigned criteria, const struct setting *setting,
                        const struct setting_target *target)
{
    const struct option *option = target->option != NULL ? target->option : &unknown_option;
    unsigned roles = rule_roles(rule);
    unsigned moments;

    if (setting->mode == MODE_IGNORE)
        return 0;
    if (option->kind == KIND_TRANSPORT)
        return SOCKET;
    /* A listener has no peer, so a rule that asks for one is never a listener's. */
    if (rule->remote.count != 0 || rule->remote_port.count != 0)
        roles &= ~(unsigned)ROLE_LISTEN;
    moments = option_moments(option, roles, criteria);
    /* connect() alone binds to a source, even where the rule could be decided at socket(). */
    return option->kind == KIND_ADDRESS && moments != 0 ? CONNECT : moments;
}
