/* SPDX-License-Identifier: MIT */
/*
 * Defaults depend on sysctls and on the network namespace, so they are read from the kernel.
 */
#include "take_defaults.h"

#include "kernel.h"
#include "kernel_socket.h"
#include "learn.h"

/* In the order of defaults_kind(). */
static const struct {
    int domain;
    int type;
} kinds[DEFAULT_KINDS] = {
    {AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM},  {AF_INET6, SOCK_STREAM},
    {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},
};

unsigned defaults_families(const struct policy *policy, const struct active *active)
{
    unsigned families = 0;
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        for (uint32_t a = 0; a < rule->actions.count; a++) {
            const struct policy_action *action = &policy->actions[rule->actions.first + a];
            if (action->mode == MODE_DEFAULT &&
                (action->phases & ~(unsigned)PHASE_BIT(PHASE_SOCKET)) != 0)
                families |= (unsigned)(rule->families & action->families);
        }
    }
    return families;
}

/* Carries out the actions of socket() on a new socket. */
static void apply_at_socket(const struct policy *policy, const struct active *active,
                            const struct socket_handle *socket, struct sockinfo *sockinfo)
{
    struct decision decision;
    const struct application application = {.policy = policy,
                                            .sockinfo = sockinfo,
                                            .socket = socket,
                                            .phases = PHASE_BIT(PHASE_SOCKET)};
    learn_decision(policy, active, socket, sockinfo, PHASE_SOCKET, application.phases, &decision);
    apply_actions(&application, &decision);
}

bool defaults_make_fresh(const struct application *application, struct socket_handle *fresh)
{
    const struct socket_handle *socket = application->socket;
    struct sockinfo sockinfo;
    if (socket->ops->make_fresh(socket, fresh) != 0)
        return false;
    if (sockinfo_at_socket(&sockinfo, socket_get_int(fresh, SOL_SOCKET, SO_DOMAIN),
                           socket_get_int(fresh, SOL_SOCKET, SO_TYPE),
                           socket_get_int(fresh, SOL_SOCKET, SO_PROTOCOL)))
        apply_at_socket(application->policy, application->active, fresh, &sockinfo);
    return true;
}

bool defaults_fresh_value(const struct application *application, uint32_t option,
                          struct default_value *value)
{
    struct socket_handle fresh;
    if (!defaults_make_fresh(application, &fresh))
        return false;
    bool told = defaults_note_one(&fresh, &application->policy->options[option], value);
    fresh.ops->drop(&fresh);
    return told;
}

static void take_kind(const struct policy *policy, const struct active *active, unsigned kind,
                      struct default_value *defaults)
{
    struct sockinfo sockinfo;
    int fd = (int)kernel_call(SYS_socket, kinds[kind].domain, kinds[kind].type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sockinfo_at_socket(&sockinfo, kinds[kind].domain, kinds[kind].type, 0))
        apply_at_socket(policy, active, KERNEL_SOCKET(fd), &sockinfo);
    defaults_note(KERNEL_SOCKET(fd), policy, defaults);
    kernel_close(fd);
}

void defaults_take(const struct policy *policy, const struct active *active, unsigned families,
                   struct default_value *defaults)
{
    for (unsigned i = 0; i < DEFAULT_KINDS; i++)
        if ((families & family_bit_of(kinds[i].domain)) != 0)
            take_kind(policy, active, i, defaults + (size_t)i * policy->option_count);
}
