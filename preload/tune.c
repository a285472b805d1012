/* SPDX-License-Identifier: MIT */
/*
 * Deciding and applying. Options are set in the order of the policy's option table, which is the
 * order that the kernel wants; a failing option is traced and otherwise forgotten.
 */
#include "tune.h"

#include "bytes.h"
#include "kernel.h"
#include "learn.h"
#include "record.h"
#include "report.h"
#include "trace.h"

#include <errno.h>
#include <linux/socket.h>
#include <netinet/in.h>

#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72 /* include/uapi/asm-generic/socket.h */
#endif

struct state state;

void tune_decide(int fd, struct subject *subject, enum moment moment, unsigned moments,
                 struct decision *decision)
{
    learn_decision(&state.policy, &state.active, fd, subject, moment, moments, decision);
}

/* Which of state.baselines is for this socket. What the call left open (subjects know no more than
 * matching asked for) the socket is asked for. */
static unsigned baseline_kind(int fd, const struct subject *subject)
{
    unsigned families = subject->families, connected = subject->protocols & PROTOCOL_CONNECTED;
    if ((families & (families - 1)) != 0)
        families = family_bit_of(kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN));
    if (connected != 0 && connected != subject->protocols)
        connected = kernel_get_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM;
    return (unsigned)__builtin_ctz(families | FAMILY_UNIX) * 2 + (connected == 0);
}

/* Is it a buffer whose size nobody has set? The kernel alters such a one by itself (autotuning), so
 * its size tells nothing. Before Linux 5.15 nothing tells. */
static bool is_unset_buffer(int fd, const struct policy_option *option)
{
    if (option->level != SOL_SOCKET ||
        (option->optname != SO_SNDBUF && option->optname != SO_RCVBUF))
        return false;
    const int set = option->optname == SO_SNDBUF ? SOCK_SNDBUF_LOCK : SOCK_RCVBUF_LOCK;
    int locks = kernel_get_int(fd, SOL_SOCKET, SO_BUF_LOCK);
    return locks >= 0 && (locks & set) == 0;
}

/* Has the program left the option as a fresh socket has it? */
static bool is_pristine(int fd, const struct subject *subject, const struct policy_action *action)
{
    if (state.baselines == NULL)
        return false;
    const struct policy_option *option = &state.policy.options[action->option];
    const struct baseline *baseline =
        &state.baselines[baseline_kind(fd, subject) * state.policy.option_count + action->option];
    uint8_t now[BASELINE_BYTES];
    socklen_t length = sizeof now;
    if (is_unset_buffer(fd, option))
        return true;
    return baseline->length != 0 &&
           kernel_getsockopt(fd, option->level, option->optname, now, &length) == 0 &&
           length == baseline->length && bytes_equal(now, baseline->bytes, length);
}

/* A program cannot have touched an option of a socket it has not seen, but it may have set it on
 * the listener. */
static bool yields(int fd, const struct subject *subject, const struct policy_action *action,
                   enum moment moment)
{
    if (action->mode != MODE_DEFAULT || moment == MOMENT_SOCKET)
        return false;
    const struct policy_option *option = &state.policy.options[action->option];
    if (moment == MOMENT_ACCEPT && (option->flags & OPTION_INHERITED) == 0)
        return false;
    return !is_pristine(fd, subject, action);
}

static void set_merged(int fd, const struct policy_option *option,
                       const struct policy_action *action)
{
    int wanted, value = 0;
    socklen_t length = sizeof value;
    if (kernel_getsockopt(fd, option->level, option->optname, &value, &length) != 0)
        return;
    __builtin_memcpy(&wanted, policy_string(&state.policy, action->value), sizeof wanted);
    value = (int)(((unsigned)value & ~action->mask) | ((unsigned)wanted & action->mask));
    kernel_setsockopt(fd, option->level, option->optname, &value, sizeof value);
}

static void apply_action(int fd, const struct subject *subject, const struct policy_action *action,
                         enum moment moment)
{
    const struct policy_option *option = &state.policy.options[action->option];
    if (action->op == OP_TRANSPORT || action->op == OP_SOURCE)
        return; /* socket() and connect() see to these */
    if (yields(fd, subject, action, moment)) {
        trace_kept(fd, subject, moment, action);
        report_option(action->option, RECORD_KEPT);
        return;
    }
    errno = 0;
    if (action->op == OP_MERGE)
        set_merged(fd, option, action);
    else
        kernel_setsockopt(fd, option->level, option->optname,
                          policy_string(&state.policy, action->value), action->length);
    report_option(action->option, (unsigned)errno);
    trace_action(fd, subject, moment, action, errno);
}

static bool is_option(uint32_t index, int level, int optname)
{
    const struct policy_option *option = &state.policy.options[index];
    return option->level == level && option->optname == optname;
}

/* Does a rule give SO_PRIORITY, but not for certain at these moments, after all that disturbs it?
 */
static bool priority_is_settled(const struct decision *decision, unsigned moments)
{
    for (uint32_t i = 0; i < state.policy.option_count; i++) {
        if (decision->action[i] == NO_ACTION || !is_option(i, SOL_SOCKET, SO_PRIORITY))
            continue;
        const struct policy_action *action = &state.policy.actions[decision->action[i]];
        return (action->moments & moments) == 0 || action->mode == MODE_DEFAULT;
    }
    return false;
}

/* IP_TOS has the kernel alter SO_PRIORITY. A priority that a rule has given at an earlier call, or
 * gives only where the program has left it alone, is kept. */
static void apply_tos(int fd, const struct subject *subject, const struct decision *decision,
                      const struct policy_action *action, enum moment moment, unsigned moments)
{
    int priority =
        priority_is_settled(decision, moments) ? kernel_get_int(fd, SOL_SOCKET, SO_PRIORITY) : -1;
    apply_action(fd, subject, action, moment);
    if (priority >= 0)
        kernel_setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority);
}

void tune_apply(int fd, const struct subject *subject, const struct decision *decision,
                unsigned moments)
{
    for (uint32_t i = 0; i < state.policy.option_count; i++) {
        if (decision->action[i] == NO_ACTION)
            continue;
        const struct policy_action *action = &state.policy.actions[decision->action[i]];
        unsigned now = action->moments & moments;
        if (now == 0)
            continue;
        enum moment moment = (enum moment)__builtin_ctz(now);
        if (!action_applies(action, subject, moment))
            continue;
        if (is_option(i, IPPROTO_IP, IP_TOS))
            apply_tos(fd, subject, decision, action, moment, moments);
        else
            apply_action(fd, subject, action, moment);
    }
}

const struct policy_action *tune_special(const struct decision *decision,
                                         const struct subject *subject, enum action_op op,
                                         enum moment moment)
{
    for (uint32_t i = 0; i < state.policy.option_count; i++) {
        if (state.policy.options[i].level != LEVEL_SOCKTUNE || decision->action[i] == NO_ACTION)
            continue;
        const struct policy_action *action = &state.policy.actions[decision->action[i]];
        if (action->op == op && action_applies(action, subject, moment))
            return action;
    }
    return NULL;
}

void tune(int fd, struct subject *subject, enum moment moment)
{
    int saved = errno;
    struct decision decision;
    tune_decide(fd, subject, moment, MOMENT_BIT(moment), &decision);
    tune_apply(fd, subject, &decision, MOMENT_BIT(moment));
    errno = saved;
}
