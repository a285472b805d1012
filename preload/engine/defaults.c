/* SPDX-License-Identifier: MIT */
/*
 * Defaults depend on sysctls and on the network namespace, so they are asked of the kernel.
 */
#include "defaults.h"

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
} kinds[DEFAULT_KINDS] = {
    {AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM},  {AF_INET6, SOCK_STREAM},
    {AF_INET6, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_UNIX, SOCK_DGRAM},
};

unsigned defaults_kind(int fd, const struct sockinfo *sockinfo)
{
    unsigned families = sockinfo->families, connected = sockinfo->protocols & PROTOCOL_CONNECTED;
    if ((families & (families - 1)) != 0)
        families = family_bit_of(kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN));
    if (connected != 0 && connected != sockinfo->protocols)
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

static bool read_option(int fd, const struct policy_option *option, uint8_t bytes[DEFAULT_BYTES],
                        socklen_t *length)
{
    *length = DEFAULT_BYTES;
    return option->level != LEVEL_SOCKTUNE &&
           kernel_getsockopt(fd, option->level, read_as(option), bytes, length) == 0;
}

void defaults_note(int fd, const struct policy *policy, struct default_value *defaults)
{
    for (uint32_t i = 0; i < policy->option_count; i++) {
        socklen_t length;
        if (read_option(fd, &policy->options[i], defaults[i].bytes, &length))
            defaults[i].length = (uint8_t)length;
    }
}

/* --- taking ----------------------------------------------------------------------------------- */

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

static void take_kind(const struct policy *policy, const struct active *active, unsigned kind,
                      struct default_value *defaults)
{
    struct sockinfo sockinfo;
    int fd = (int)kernel_call(SYS_socket, kinds[kind].domain, kinds[kind].type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sockinfo_at_socket(&sockinfo, kinds[kind].domain, kinds[kind].type, 0)) {
        struct decision decision;
        const struct application application = {
            .policy = policy, .sockinfo = &sockinfo, .fd = fd, .phases = PHASE_BIT(PHASE_SOCKET)};
        learn_decision(policy, active, fd, &sockinfo, PHASE_SOCKET, application.phases, &decision);
        apply(&application, &decision);
    }
    defaults_note(fd, policy, defaults);
    kernel_close(fd);
}

void defaults_take(const struct policy *policy, const struct active *active, unsigned families,
                   struct default_value *defaults)
{
    for (unsigned i = 0; i < DEFAULT_KINDS; i++)
        if ((families & family_bit_of(kinds[i].domain)) != 0)
            take_kind(policy, active, i, defaults + (size_t)i * policy->option_count);
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

enum default_comparison defaults_compare(int fd, const struct policy_option *option,
                                         const struct default_value *default_value)
{
    uint8_t now[DEFAULT_BYTES];
    socklen_t length;
    if (is_unset_buffer(fd, option))
        return DEFAULT_SAME;
    if (default_value->length == 0 || !read_option(fd, option, now, &length))
        return DEFAULT_UNKNOWN;
    return length == default_value->length && bytes_equal(now, default_value->bytes, length)
               ? DEFAULT_SAME
               : DEFAULT_DIFFERS;
}
