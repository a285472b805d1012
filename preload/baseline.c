/* SPDX-License-Identifier: MIT */
/*
 * Baselines depend on sysctls and on the network namespace, so they are asked of the kernel.
 */
#include "baseline.h"

#include "apply.h"
#include "bytes.h"
#include "kernel.h"
#include "learn.h"

#include <linux/socket.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* include/uapi/asm-generic/socket.h */
#endif
#ifndef SOCK_SNDBUF_LOCK /* include/uapi/linux/socket.h, Linux 5.15 */
#define SOCK_SNDBUF_LOCK 1
#define SOCK_RCVBUF_LOCK 2
#endif

static const struct {
    int domain;
    int type;
} kinds[BASELINE_KINDS] = {
    {AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM},  {AF_INET6, SOCK_STREAM},
    {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},
};

unsigned baseline_kind(int fd, const struct subject *subject)
{
    unsigned families = subject->families, connected = subject->protocols & PROTOCOL_CONNECTED;
    if ((families & (families - 1)) != 0)
        families = family_bit_of(kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN));
    if (connected != 0 && connected != subject->protocols)
        connected = kernel_get_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM;
    return (unsigned)__builtin_ctz(families | FAMILY_UNIX) * 2 + (connected == 0);
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A buffer's size is told under the option that sets it within bounds, also if it was set by the
 * privileged one. */
static int read_as(const struct policy_option *option)
{
    if (option->level == SOL_SOCKET && option->optname == SO_SNDBUFFORCE)
        return SO_SNDBUF;
    if (option->level == SOL_SOCKET && option->optname == SO_RCVBUFFORCE)
        return SO_RCVBUF;
    return option->optname;
}

static bool read_option(int fd, const struct policy_option *option, uint8_t bytes[BASELINE_BYTES],
                        socklen_t *length)
{
    *length = BASELINE_BYTES;
    return option->level != LEVEL_SOCKTUNE &&
           kernel_getsockopt(fd, option->level, read_as(option), bytes, length) == 0;
}

void baseline_note(int fd, const struct policy *policy, struct baseline *baselines)
{
    for (uint32_t i = 0; i < policy->option_count; i++) {
        socklen_t length;
        if (read_option(fd, &policy->options[i], baselines[i].bytes, &length))
            baselines[i].length = (uint8_t)length;
    }
}

/* --- taking ----------------------------------------------------------------------------------- */

unsigned baseline_families(const struct policy *policy, const struct active *active)
{
    unsigned families = 0;
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        for (uint32_t a = 0; a < rule->actions.count; a++) {
            const struct policy_action *action = &policy->actions[rule->actions.first + a];
            if (action->mode == MODE_DEFAULT &&
                (action->moments & ~(unsigned)MOMENT_BIT(MOMENT_SOCKET)) != 0)
                families |= (unsigned)(rule->families & action->families);
        }
    }
    return families;
}

static void take_kind(const struct policy *policy, const struct active *active, unsigned kind,
                      struct baseline *baselines)
{
    struct subject subject;
    int fd = (int)kernel_call(SYS_socket, kinds[kind].domain, kinds[kind].type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (subject_at_socket(&subject, kinds[kind].domain, kinds[kind].type, 0)) {
        struct decision decision;
        const struct application application = {
            .policy = policy, .subject = &subject, .fd = fd, .moments = MOMENT_BIT(MOMENT_SOCKET)};
        learn_decision(policy, active, fd, &subject, MOMENT_SOCKET, application.moments, &decision);
        apply(&application, &decision);
    }
    baseline_note(fd, policy, baselines);
    kernel_close(fd);
}

void baseline_take(const struct policy *policy, const struct active *active, unsigned families,
                   struct baseline *baselines)
{
    for (unsigned i = 0; i < BASELINE_KINDS; i++)
        if ((families & family_bit_of(kinds[i].domain)) != 0)
            take_kind(policy, active, i, baselines + (size_t)i * policy->option_count);
}

/* --- comparing -------------------------------------------------------------------------------- */

/* Is it a buffer whose size nobody has set? The kernel alters such a one by itself (autotuning), so
 * its size tells nothing. Before Linux 5.15 nothing tells. */
static bool is_unset_buffer(int fd, const struct policy_option *option)
{
    int buffer = read_as(option);
    if (option->level != SOL_SOCKET || (buffer != SO_SNDBUF && buffer != SO_RCVBUF))
        return false;
    int locks = kernel_get_int(fd, SOL_SOCKET, SO_BUF_LOCK);
    return locks >= 0 && (locks & (buffer == SO_SNDBUF ? SOCK_SNDBUF_LOCK : SOCK_RCVBUF_LOCK)) == 0;
}

enum baseline_comparison baseline_compare(int fd, const struct policy_option *option,
                                          const struct baseline *baseline)
{
    uint8_t now[BASELINE_BYTES];
    socklen_t length;
    if (is_unset_buffer(fd, option))
        return BASELINE_SAME;
    if (baseline->length == 0 || !read_option(fd, option, now, &length))
        return BASELINE_UNKNOWN;
    return length == baseline->length && bytes_equal(now, baseline->bytes, length)
               ? BASELINE_SAME
               : BASELINE_DIFFERS;
}
