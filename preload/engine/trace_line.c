/* SPDX-License-Identifier: MIT */
/*
 * Builds lines without stdio, strerror() or inet_ntop(), which are not async-signal-safe.
 */
#include "trace_line.h"

#include <errno.h>

static const char *const call_names[PHASE_COUNT] = {
    [PHASE_SOCKET] = "socket",   [PHASE_BIND] = "bind",
    [PHASE_CONNECT] = "connect", [PHASE_CONNECTED] = "connect",
    [PHASE_LISTEN] = "listen",   [PHASE_LISTENING] = "listen",
    [PHASE_ACCEPT] = "accept",   [PHASE_ACCEPT_WILDCARD] = "accept",
};

static const char *const result_names[] = {
    [APPLIED_SET] = "set",
    [APPLIED_FAILED] = "failed: ",
    [APPLIED_KEPT] = "left as the program set it",
};

/* The errors that setsockopt(2), socket(2) and bind(2) return for options. */
static const struct {
    int number;
    const char *name;
} errors[] = {
    {EPERM, "EPERM, not permitted"},
    {EACCES, "EACCES, not permitted"},
    {ENOPROTOOPT, "ENOPROTOOPT, no such option for this socket"},
    {EOPNOTSUPP, "EOPNOTSUPP, not supported for this socket"},
    {EINVAL, "EINVAL, refused in this state or with this value"},
    {ENOENT, "ENOENT, no such thing by that name"},
    {ENODEV, "ENODEV, no such device"},
    {EISCONN, "EISCONN, already connected"},
    {EBUSY, "EBUSY"},
    {EDOM, "EDOM, value too large"},
    {ERANGE, "ERANGE, value too large"},
    {ENOMEM, "ENOMEM"},
    {EBADF, "EBADF, closed meanwhile"},
    {EADDRNOTAVAIL, "EADDRNOTAVAIL, not an address of this machine"},
    {EPROTONOSUPPORT, "EPROTONOSUPPORT, not in this kernel"},
};

const char *trace_call_name(enum phase phase)
{
    return call_names[phase];
}

static void put_hex(struct text *line, unsigned number)
{
    char digits[5] = {0};
    size_t at = 4;
    do {
        digits[--at] = "0123456789abcdef"[number % 16];
        number /= 16;
    } while (number != 0);
    text_put(line, digits + at);
}

static unsigned group_of(const struct address *address, unsigned i)
{
    return (unsigned)(address->bytes[(size_t)2 * i] << 8 | address->bytes[(size_t)2 * i + 1]);
}

/* Returns how many consecutive groups are zero from group `i` on. */
static unsigned zeros_from(const struct address *address, unsigned i)
{
    unsigned count = 0;
    while (i + count < 8 && group_of(address, i + count) == 0)
        count++;
    return count;
}

/* RFC 5952: "::" replaces the longest run of zero groups, if it has two or more. */
static void put_v6(struct text *line, const struct address *address)
{
    unsigned longest = 0;
    for (unsigned i = 1; i < 8; i++)
        if (zeros_from(address, i) > zeros_from(address, longest))
            longest = i;
    unsigned zeros = zeros_from(address, longest);
    bool shortened = zeros >= 2, separate = false;
    for (unsigned i = 0; i < 8; i++) {
        if (shortened && i == longest) {
            text_put(line, "::");
            i += zeros - 1;
            separate = false;
            continue;
        }
        text_put(line, separate ? ":" : "");
        put_hex(line, group_of(address, i));
        separate = true;
    }
}

/* Writes "127.0.0.1:80" or "[::1]:80". */
static void put_end(struct text *line, const struct address *address, uint16_t port)
{
    if (address_is_v4(address)) {
        for (unsigned i = 12; i < 16; i++) {
            text_put(line, i == 12 ? "" : ".");
            text_put_number(line, address->bytes[i]);
        }
    } else {
        text_put(line, "[");
        put_v6(line, address);
        text_put(line, "]");
    }
    text_put(line, ":");
    text_put_number(line, port);
}

/* Writes "connect fd 5 127.0.0.1:40000 -> 10.0.0.1:80: ", as far as it is known. */
static void put_socket(struct text *line, const struct trace_socket *socket)
{
    const struct sockinfo *sockinfo = socket->sockinfo;
    text_put(line, socket->call);
    text_put(line, " fd ");
    text_put_number(line, socket->fd);
    if ((sockinfo->known & FACT_LOCAL) != 0) {
        text_put(line, " ");
        put_end(line, &sockinfo->local, sockinfo->local_port);
    }
    if ((sockinfo->known & FACT_REMOTE) != 0) {
        text_put(line, " -> ");
        put_end(line, &sockinfo->remote, sockinfo->remote_port);
    }
    text_put(line, ": ");
}

static const char *relation_of(const struct policy_action *action)
{
    return action->mode == MODE_AT_LEAST  ? " at least "
           : action->mode == MODE_AT_MOST ? " at most "
                                          : " = ";
}

/* Writes "TCP_KEEPIDLE = 60s (rule NAME, FILE:LINE)". */
static void put_action(struct text *line, const struct policy *policy,
                       const struct policy_action *action)
{
    const struct policy_rule *rule =
        policy_rule_of_action(policy, (uint32_t)(action - policy->actions));
    text_put_escaped(line, policy_string(policy, policy->options[action->option].name));
    text_put(line, relation_of(action));
    text_put_escaped(line, policy_string(policy, action->text));
    text_put(line, " (rule ");
    text_put_escaped(line, policy_string(policy, rule->name));
    text_put(line, ", ");
    text_put_escaped(line, policy_string(policy, action->file));
    text_put(line, ":");
    text_put_number(line, (long)action->line);
    text_put(line, ")");
}

static void put_error(struct text *line, int error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].number == error) {
            text_put(line, errors[i].name);
            return;
        }
    text_put(line, "errno ");
    text_put_number(line, error);
}

void trace_line_begin(struct text *line, const struct trace_program *program)
{
    text_put(line, "socktune[");
    text_put_number(line, program->pid);
    text_put(line, "] ");
    text_put_escaped(line, program->name);
    text_put(line, ": ");
}

void trace_line_action(struct text *line, const struct trace_program *program,
                       const struct trace_socket *socket, const struct policy_action *action,
                       enum applied result, int error)
{
    trace_line_begin(line, program);
    put_socket(line, socket);
    put_action(line, program->policy, action);
    text_put(line, ": ");
    text_put(line, result == APPLIED_KEPT && policy_is_bound(action) ? "left, it keeps within that"
                                                                     : result_names[result]);
    if (error != 0)
        put_error(line, error);
}

void trace_line_swallowed(struct text *line, const struct trace_program *program,
                          const struct trace_socket *socket, uint32_t option, uint32_t held)
{
    const struct policy *policy = program->policy;
    trace_line_begin(line, program);
    put_socket(line, socket);
    if (held != NO_ACTION && policy_is_bound(&policy->actions[held])) {
        put_action(line, policy, &policy->actions[held]);
        text_put(line, ": given in place of the program's own setting");
        return;
    }
    text_put_escaped(line, policy_string(policy, policy->options[option].name));
    text_put(line, ": the program's own setting is ignored");
}

void trace_line_end(struct text *line)
{
    if (line->length + 1 == line->size)
        line->length--;
    text_put(line, "\n");
}
