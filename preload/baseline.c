/* SPDX-License-Identifier: MIT */
/*
 * Taking pristine values. They depend on sysctls and on the network namespace, so they are asked of
 * the kernel, at a time when making and closing sockets disturbs nobody.
 */
#include "baseline.h"

#include "kernel.h"
#include "tune.h"

/* The order is that of is_pristine() in tune.c: family by family, stream before datagram. */
static const struct {
    int domain;
    int type;
} kinds[BASELINE_KINDS] = {
    {AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM},  {AF_INET6, SOCK_STREAM},
    {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},
};

/* Does an active rule have a `default` for a moment later than socket()? `families`: of which. */
static bool wanted(unsigned *families)
{
    *families = 0;
    for (uint32_t i = 0; i < state.active.count; i++) {
        const struct policy_rule *rule = &state.policy.rules[state.active.rules[i]];
        for (uint32_t a = 0; a < rule->actions.count; a++) {
            const struct policy_action *action = &state.policy.actions[rule->actions.first + a];
            if (action->mode == MODE_DEFAULT &&
                (action->moments & ~(unsigned)MOMENT_BIT(MOMENT_SOCKET)) != 0)
                *families |= (unsigned)(rule->families & action->families);
        }
    }
    return *families != 0;
}

static void note_options(int fd, struct baseline *baselines)
{
    for (uint32_t i = 0; i < state.policy.option_count; i++) {
        const struct policy_option *option = &state.policy.options[i];
        socklen_t length = BASELINE_BYTES;
        if (option->level != LEVEL_SOCKTUNE &&
            kernel_getsockopt(fd, option->level, option->optname, baselines[i].bytes, &length) == 0)
            baselines[i].length = (uint8_t)length;
    }
}

static void take_kind(int domain, int type, struct baseline *baselines)
{
    struct subject subject;
    int fd = (int)kernel_call(SYS_socket, domain, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (subject_at_socket(&subject, domain, type, 0))
        tune(fd, &subject, MOMENT_SOCKET);
    note_options(fd, baselines);
    kernel_close(fd);
}

void baseline_take(void)
{
    unsigned families;
    if (!wanted(&families))
        return;
    size_t each = state.policy.option_count;
    struct baseline *baselines = kernel_map(BASELINE_KINDS * each * sizeof *baselines);
    if (baselines == NULL)
        return;
    for (size_t i = 0; i < BASELINE_KINDS; i++)
        if ((families & family_bit_of(kinds[i].domain)) != 0)
            take_kind(kinds[i].domain, kinds[i].type, baselines + i * each);
    state.baselines = baselines;
}
