/* SPDX-License-Identifier: MIT */
/*
 * Carrying out decisions on a descriptor. Options are set in the order of the policy's option
 * table, which is the order that the kernel wants.
 */
#include "apply_options.h"
#include "learn.h"

#include <errno.h>
#include <linux/socket.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24 /* include/uapi/linux/in.h */
#endif

/* One socket in one call. */
struct application {
    const struct applier *applier;
    const struct subject *subject;
    void *context;
    int fd;
    unsigned kind; /* of fresh socket */
    bool late;     /* MOMENT_SOCKET has passed long ago */
};

static int get_int(int fd, int level, int optname)
{
    int value = -1;
    socklen_t length = sizeof value;

    return getsockopt(fd, level, optname, &value, &length) == 0 ? value : -1;
}

/* Family by family, stream before datagram, as `kinds` below. */
static unsigned kind_of(int fd)
{
    unsigned family = family_bit_of(get_int(fd, SOL_SOCKET, SO_DOMAIN));
    int type = get_int(fd, SOL_SOCKET, SO_TYPE);

    return (unsigned)__builtin_ctz(family | FAMILY_UNIX) * 2 +
           (type == SOCK_DGRAM || type == SOCK_RAW);
}

/* --- one action ------------------------------------------------------------------------------- */

enum comparison { SAME, DIFFERS, UNKNOWN };

/* A buffer whose size nobody has set: the kernel alters such a one by itself (autotuning), so its
 * size tells nothing. Before Linux 5.15 nothing tells. */
static bool is_unset_buffer(int fd, const struct policy_option *option)
{
    bool send = option->optname == SO_SNDBUF;
    int locks;

    if (option->level != SOL_SOCKET || (!send && option->optname != SO_RCVBUF))
        return false;
    locks = get_int(fd, SOL_SOCKET, SO_BUF_LOCK);
    return locks >= 0 && !(locks & (send ? SOCK_SNDBUF_LOCK : SOCK_RCVBUF_LOCK));
}

static enum comparison compare(const struct application *application,
                               const struct pristines *pristines,
                               const struct policy_action *action)
{
    const struct policy *policy = application->applier->policy;
    const struct policy_option *option = &policy->options[action->option];
    uint8_t now[PRISTINE_BYTES];
    socklen_t length = sizeof now;

    if (!pristines->values)
        return UNKNOWN;
    if (is_unset_buffer(application->fd, option))
        return SAME;
    const struct pristine *pristine =
        &pristines->values[application->kind * policy->option_count + action->option];
    if (!pristine->length ||
        getsockopt(application->fd, option->level, option->optname, now, &length) != 0)
        return UNKNOWN;
    return length == pristine->length && memcmp(now, pristine->bytes, length) == 0 ? SAME : DIFFERS;
}

/* Does what the program has set itself stand? */
static bool yields(const struct application *application, const struct policy_action *action)
{
    const struct applier *applier = application->applier;

    if (application->late)
        return action->mode != MODE_FORCE &&
               compare(application, &applier->fresh, action) == DIFFERS;
    return action->mode == MODE_DEFAULT &&
           compare(application, &applier->after_socket, action) != SAME;
}

static int set_merged(int fd, const struct policy_option *option,
                      const struct policy_action *action, const void *bytes)
{
    int wanted, value = 0;
    socklen_t length = sizeof value;

    if (getsockopt(fd, option->level, option->optname, &value, &length) != 0)
        return -1;
    memcpy(&wanted, bytes, sizeof wanted);
    value = (int)(((unsigned)value & ~action->mask) | ((unsigned)wanted & action->mask));
    return setsockopt(fd, option->level, option->optname, &value, sizeof value);
}

/* Bind a socket that has no address yet to that of the rule; the kernel chooses the port at
 * connect(), as it would without. Returns false if there is nothing to do. */
static bool bind_source(const struct application *application, const void *bytes, int *failed)
{
    const struct subject *subject = application->subject;
    struct subject bound = {.families = subject->families};
    struct address source;
    const int on = 1;

    learn(application->fd, &bound, FACT_LOCAL, MOMENT_CONNECT);
    memcpy(&source, bytes, sizeof source);
    if (bound.known & FACT_LOCAL || address_is_v4(&source) != address_is_v4(&subject->remote))
        return false;
    setsockopt(application->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (subject->families == FAMILY_INET) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        memcpy(&address.sin_addr, source.bytes + 12, sizeof address.sin_addr);
        *failed = bind(application->fd, (struct sockaddr *)&address, sizeof address);
    } else {
        struct sockaddr_in6 address = {.sin6_family = AF_INET6};
        memcpy(&address.sin6_addr, source.bytes, sizeof address.sin6_addr);
        *failed = bind(application->fd, (struct sockaddr *)&address, sizeof address);
    }
    return true;
}

static void tell(const struct application *application, const struct policy_action *action,
                 enum applied result, int error)
{
    if (application->applier->tell)
        application->applier->tell(application->context, application->subject, action, result,
                                   error);
}

static void apply_action(const struct application *application, const struct policy_action *action)
{
    const struct policy *policy = application->applier->policy;
    const struct policy_option *option = &policy->options[action->option];
    const char *bytes = policy->data + action->value;
    int failed = 0;

    if (action->op == OP_SOURCE) {
        if (!bind_source(application, bytes, &failed))
            return;
    } else if (action->op == OP_MERGE) {
        failed = set_merged(application->fd, option, action, bytes);
    } else {
        failed = setsockopt(application->fd, option->level, option->optname, bytes, action->length);
    }
    tell(application, action, failed ? APPLIED_FAILED : APPLIED_SET, failed ? errno : 0);
}

/* --- a decision ------------------------------------------------------------------------------- */

/* The action for option `i` that is due now, or NULL. */
static const struct policy_action *due(const struct application *application,
                                       const struct decision *decision, unsigned moments,
                                       uint32_t i)
{
    const struct policy_action *action;
    unsigned now;

    if (decision->action[i] == NO_ACTION)
        return NULL;
    action = &application->applier->policy->actions[decision->action[i]];
    now = action->moments & moments;
    /* Only socket() could see to a transport. */
    return now && action->op != OP_TRANSPORT &&
                   action_applies(action, application->subject, (enum moment)__builtin_ctz(now))
               ? action
               : NULL;
}

/* Late, the rule's own value may be what is found: a socket is bound first and listens then. */
static bool has_it(const struct application *application, const struct policy_action *action)
{
    const struct policy *policy = application->applier->policy;
    const struct policy_option *option = &policy->options[action->option];
    uint8_t now[PRISTINE_BYTES];
    socklen_t length = sizeof now;

    return getsockopt(application->fd, option->level, option->optname, now, &length) == 0 &&
           length == action->length && memcmp(now, policy->data + action->value, length) == 0;
}

/* Strike out what the program has set itself, before anything is set: one option may alter another
 * (IP_TOS sets SO_PRIORITY). */
static void strike_out_kept(const struct application *application, struct decision *decision,
                            unsigned moments)
{
    for (uint32_t i = 0; i < application->applier->policy->option_count; i++) {
        const struct policy_action *action = due(application, decision, moments, i);
        if (!action || action->op == OP_SOURCE || !yields(application, action))
            continue;
        if (application->applier->tell && !has_it(application, action))
            tell(application, action, APPLIED_KEPT, 0);
        decision->action[i] = NO_ACTION;
    }
}

static bool is_option(const struct application *application, uint32_t index, int level, int optname)
{
    const struct policy_option *option = &application->applier->policy->options[index];

    return option->level == level && option->optname == optname;
}

/*
 * IP_TOS has the kernel alter SO_PRIORITY. Is a priority to be kept that stands already? One that a
 * rule has given at an earlier call, or gives only where the program has left it alone, or, when
 * IP_TOS comes late, the program's own.
 */
static bool priority_stands(const struct application *application, const struct decision *decision,
                            unsigned moments)
{
    const struct policy *policy = application->applier->policy;

    if (application->late && get_int(application->fd, SOL_SOCKET, SO_PRIORITY) != 0)
        return true;
    for (uint32_t i = 0; i < policy->option_count; i++) {
        if (decision->action[i] == NO_ACTION || !is_option(application, i, SOL_SOCKET, SO_PRIORITY))
            continue;
        const struct policy_action *action = &policy->actions[decision->action[i]];
        return !(action->moments & moments) || action->mode == MODE_DEFAULT;
    }
    return false;
}

static void apply_tos(const struct application *application, const struct policy_action *action,
                      bool keep_priority)
{
    int priority = keep_priority ? get_int(application->fd, SOL_SOCKET, SO_PRIORITY) : -1;

    apply_action(application, action);
    if (priority >= 0)
        setsockopt(application->fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
}

static void apply_decision(const struct application *application, struct decision *decision,
                           unsigned moments)
{
    bool keep_priority = priority_stands(application, decision, moments);

    strike_out_kept(application, decision, moments);
    for (uint32_t i = 0; i < application->applier->policy->option_count; i++) {
        const struct policy_action *action = due(application, decision, moments, i);
        if (action && is_option(application, i, IPPROTO_IP, IP_TOS))
            apply_tos(application, action, keep_priority);
        else if (action)
            apply_action(application, action);
    }
}

static void apply(const struct applier *applier, int fd, struct subject *subject, unsigned moments,
                  bool late, void *context)
{
    struct decision decision;
    struct application application = {.applier = applier,
                                      .subject = subject,
                                      .context = context,
                                      .fd = fd,
                                      .kind = kind_of(fd),
                                      .late = late};

    learn_decision(applier->policy, applier->active, fd, subject,
                   (enum moment)__builtin_ctz(moments), moments, &decision);
    apply_decision(&application, &decision, moments);
}

bool apply_socket_late(const struct applier *applier, int fd, void *context)
{
    struct subject subject;
    int domain = get_int(fd, SOL_SOCKET, SO_DOMAIN);
    int type = get_int(fd, SOL_SOCKET, SO_TYPE);
    int protocol = get_int(fd, SOL_SOCKET, SO_PROTOCOL);

    if (!subject_at_socket(&subject, domain, type, protocol))
        return false;
    apply(applier, fd, &subject, MOMENT_BIT(MOMENT_SOCKET), true, context);
    return true;
}

void apply_moments(const struct applier *applier, int fd, struct subject *subject, unsigned moments,
                   void *context)
{
    apply(applier, fd, subject, moments, false, context);
}

/* On a connection it is too late for buffers and the like: SO_RCVBUF can clamp the window for good
 * there. */
static void drop_early_options(const struct policy *policy, struct decision *decision)
{
    for (uint32_t i = 0; i < policy->option_count; i++)
        if (policy->options[i].flags & OPTION_EARLY)
            decision->action[i] = NO_ACTION;
}

void apply_to_opened(const struct applier *applier, int fd, void *context)
{
    struct subject subject;
    struct decision decision;
    struct application application = {.applier = applier, .context = context, .fd = fd};
    unsigned moments;

    if (!learn_history(fd, &subject))
        return;
    application.subject = &subject;
    application.kind = kind_of(fd);
    moments = moments_behind(&subject);
    learn_decision(applier->policy, applier->active, fd, &subject, MOMENT_SOCKET, moments,
                   &decision);
    if (is_connection(&subject))
        drop_early_options(applier->policy, &decision);
    apply_decision(&application, &decision, moments);
}

/* --- fresh sockets ---------------------------------------------------------------------------- */

static const struct {
    int domain;
    int type;
} kinds[PRISTINE_KINDS] = {
    {AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM},  {AF_INET6, SOCK_STREAM},
    {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},
};

bool defaults_later(const struct policy *policy, const struct active *active)
{
    for (uint32_t i = 0; i < active->count; i++) {
        struct policy_range range = policy->rules[active->rules[i]].actions;
        for (uint32_t a = range.first; a < range.first + range.count; a++)
            if (policy->actions[a].mode == MODE_DEFAULT &&
                policy->actions[a].moments & ~(unsigned)MOMENT_BIT(MOMENT_SOCKET))
                return true;
    }
    return false;
}

static void take_kind(const struct applier *applier, bool after_socket, unsigned kind,
                      struct pristine *values)
{
    const struct policy *policy = applier->policy;
    int fd = socket(kinds[kind].domain, kinds[kind].type | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    if (after_socket)
        apply_socket_late(applier, fd, NULL);
    for (uint32_t i = 0; i < policy->option_count; i++) {
        const struct policy_option *option = &policy->options[i];
        socklen_t length = PRISTINE_BYTES;
        if (option->level != LEVEL_SOCKTUNE &&
            getsockopt(fd, option->level, option->optname, values[i].bytes, &length) == 0)
            values[i].length = (uint8_t)length;
    }
    close(fd);
}

int pristines_take(struct applier *applier, bool after_socket)
{
    struct applier silent = *applier;
    uint32_t count = applier->policy->option_count;
    struct pristine *values = calloc((size_t)count * PRISTINE_KINDS + 1, sizeof *values);

    if (!values)
        return -1;
    silent.tell = NULL;
    for (unsigned kind = 0; kind < PRISTINE_KINDS; kind++)
        take_kind(&silent, after_socket, kind, values + (size_t)kind * count);
    if (after_socket)
        applier->after_socket.values = values;
    else
        applier->fresh.values = values;
    return 0;
}
