/* SPDX-License-Identifier: MIT */
/*
 * When an option is set. The earlier the better: what is set at socket() is paid once, and what a
 * listener has costs its accepted sockets nothing. But a rule cannot act before it is known whether
 * the socket is one of its own, and an option not before (or after) the kernel takes it.
 */
#include "compile.h"

#include "relate.h"

enum {
    SOCKET = PHASE_BIT(PHASE_SOCKET),
    BIND = PHASE_BIT(PHASE_BIND),
    CONNECT = PHASE_BIT(PHASE_CONNECT),
    CONNECTED = PHASE_BIT(PHASE_CONNECTED),
    LISTEN = PHASE_BIT(PHASE_LISTEN),
    LISTENING = PHASE_BIT(PHASE_LISTENING),
    ACCEPT = PHASE_BIT(PHASE_ACCEPT),
    ACCEPT_WILDCARD = PHASE_BIT(PHASE_ACCEPT_WILDCARD)
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
static unsigned accept_phases(const struct option *option, unsigned criteria)
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

static unsigned connect_phases(const struct option *option, unsigned criteria)
{
    unsigned phases = connecting[option->when];
    return (criteria & CRITERIA_REMOTE) != 0 ? phases & ~(unsigned)BIND : phases;
}

static unsigned datagram_phases(const struct option *option, unsigned criteria)
{
    if ((criteria & CRITERIA_REMOTE) != 0)
        return datagram_remote[option->when];
    if ((criteria & (CRITERIA_LOCAL_ADDRESS | CRITERIA_LOCAL_PORT)) != 0)
        return datagram_local[option->when];
    /* At socket() too, for one that makes neither of the calls that can fail. */
    if ((criteria & CRITERIA_REQUIRE) != 0)
        return datagram[option->when] | datagram_local[option->when] |
               datagram_remote[option->when];
    return datagram[option->when];
}

/* Stream sockets of all roles and criteria that socket() can decide. */
static unsigned stream_phases(const struct option *option)
{
    unsigned phases = at_once[option->when];
    if (option->when == WHEN_AFTER) {
        if ((option->roles & ROLE_CONNECT) != 0)
            phases |= CONNECTED;
        if ((option->roles & (ROLE_LISTEN | ROLE_ACCEPT)) != 0 && option->inherit != INHERIT_NO)
            phases |= LISTENING;
    }
    if (option->inherit == INHERIT_NO && (option->roles & ROLE_ACCEPT) != 0)
        phases |= accepted[option->when];
    return phases;
}

unsigned option_phases(const struct option *option, unsigned roles, unsigned criteria)
{
    unsigned meant = roles & option->roles;
    bool all = (roles & ROLE_STREAM) == ROLE_STREAM;
    unsigned phases = 0;
    /* A listener gets what alters its own calls only from a rule on listeners alone. */
    if (option->inherit == INHERIT_UNWANTED && (roles & ROLE_STREAM) != ROLE_LISTEN) {
        meant &= ~(unsigned)ROLE_LISTEN;
        all = false;
    }
    if ((meant & ROLE_DATAGRAM) != 0)
        phases |= datagram_phases(option, criteria);
    if (all && criteria == 0)
        return (meant & ROLE_STREAM) != 0 ? phases | stream_phases(option) : phases;
    if ((meant & ROLE_CONNECT) != 0)
        phases |= connect_phases(option, criteria);
    if ((meant & ROLE_LISTEN) != 0)
        phases |= listening[option->when];
    if ((meant & ROLE_ACCEPT) != 0)
        phases |= accept_phases(option, criteria);
    return phases;
}

/* Rules */

/* Can only a connection tell whether the rule is for it, and no listener? */
static bool rule_asks_connection(const struct rule *rule)
{
    return rule->remote.count != 0 || rule->remote_port.count != 0 || rule->trial != NULL;
}

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
    if (rule_asks_connection(rule))
        criteria |= CRITERIA_REMOTE;
    if (rule->require)
        criteria |= CRITERIA_REQUIRE;
    return criteria;
}

unsigned rule_criteria(const struct ruleset *ruleset, size_t index)
{
    const struct rule *rule = &ruleset->rules[index];
    unsigned criteria = own_criteria(rule);
    for (size_t i = 0; i < index; i++)
        if (ruleset->rules[i].final && !rules_are_disjoint(&ruleset->rules[i], rule))
            criteria |= own_criteria(&ruleset->rules[i]) & ~(unsigned)CRITERIA_REQUIRE;
    return criteria;
}

/* What is known of an option that only a number stands for: nothing, so it is set early, and again
 * on accepted sockets. */
static const struct option unknown_option = {.when = WHEN_ANY,
                                             .inherit = INHERIT_NO,
                                             .families = FAMILY_ALL,
                                             .protocols = PROTOCOL_ALL,
                                             .roles = ROLE_ALL};

unsigned target_phases(const struct rule *rule, unsigned criteria, const struct setting *setting,
                       const struct setting_target *target)
{
    const struct option *option = target->option != NULL ? target->option : &unknown_option;
    unsigned roles = rule_roles(rule);
    unsigned phases;
    if (setting->mode == MODE_IGNORE)
        return 0;
    if (option->kind == KIND_TRANSPORT)
        return SOCKET;
    /* A listener has no peer and no arm, so a rule that asks for one is never a listener's. */
    if (rule_asks_connection(rule))
        roles &= ~(unsigned)ROLE_LISTEN;
    phases = option_phases(option, roles, criteria);
    /* connect() alone binds to a source, even where the rule could be decided at socket(). */
    return option->kind == KIND_ADDRESS && phases != 0 ? CONNECT : phases;
}

/* An option as AF_UNIX knows it: there is no handshake to be late for, and hardly anything is
 * inherited. */
static struct option as_unix_option(const struct option *option)
{
    struct option copy = *option;
    if (copy.when == WHEN_HANDSHAKE)
        copy.when = WHEN_ANY;
    if (copy.inherit == INHERIT_YES && !option_is_inherited(option, FAMILY_UNIX))
        copy.inherit = INHERIT_NO;
    return copy;
}

/* Parts of the same families that differ at most in calls that only stream sockets make are one. */
static void add_part(struct target_part *parts, size_t *count, struct target_part part)
{
    const unsigned common = SOCKET | BIND | CONNECT | CONNECTED;
    if (part.families == 0 || part.protocols == 0)
        return;
    for (size_t i = 0; i < *count; i++)
        if (parts[i].families == part.families &&
            (parts[i].phases & common) == (part.phases & common)) {
            parts[i].protocols |= part.protocols;
            parts[i].phases |= part.phases;
            return;
        }
    parts[(*count)++] = part;
}

/*
 * The parts for some families, datagram sockets and stream sockets taken apart: a rule on both may
 * have to wait with one of them, and bind() does not know yet what a stream socket will be. Stream
 * sockets come last: their action wins at connect() while it is open which of both a socket is, so
 * that nobody need ask.
 */
static void add_parts(struct target_part *parts, size_t *count, const struct rule *rule,
                      unsigned criteria, const struct setting *setting,
                      const struct setting_target *target, unsigned families)
{
    static const uint16_t kinds[] = {PROTOCOL_DATAGRAM, PROTOCOL_CONNECTED};
    const struct option *option = target->option != NULL ? target->option : &unknown_option;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct rule narrowed = *rule;
        unsigned phases;
        narrowed.protocols &= kinds[k];
        phases = target_phases(&narrowed, criteria, setting, target);
        if (phases != 0 || setting->mode == MODE_IGNORE)
            add_part(parts, count,
                     (struct target_part){.families = option->families & (uint8_t)families,
                                          .protocols = option->protocols & kinds[k],
                                          .phases = phases});
    }
}

size_t target_parts(const struct rule *rule, unsigned criteria, const struct setting *setting,
                    const struct setting_target *target, struct target_part parts[TARGET_PARTS_MAX])
{
    const struct option *option = target->option != NULL ? target->option : &unknown_option;
    struct option unix_option = as_unix_option(option);
    struct setting_target unix_target = *target;
    size_t count = 0;
    unix_target.option = target->option != NULL ? &unix_option : NULL;
    add_parts(parts, &count, rule, criteria, setting, target, rule->families & FAMILY_IP);
    add_parts(parts, &count, rule, criteria, setting, &unix_target, rule->families & FAMILY_UNIX);
    if (count == 0) /* it can never be set, but its rule still speaks of it */
        parts[count++] =
            (struct target_part){.families = option->families, .protocols = option->protocols};
    return count;
}
