/* SPDX-License-Identifier: MIT */
/*
 * Tracing. No descriptor stays open in the program, so a trace file is opened for each line and
 * closed again; O_APPEND keeps the lines of many processes whole. Not fast, and need not be.
 */
#include "trace.h"

#include "kernel.h"
#include "text.h"

#include <errno.h>

#define LINE_MAX_BYTES 512

static const char *const phase_names[PHASE_COUNT] = {
    [PHASE_SOCKET] = "socket",   [PHASE_BIND] = "bind",
    [PHASE_CONNECT] = "connect", [PHASE_CONNECTED] = "connect",
    [PHASE_LISTEN] = "listen",   [PHASE_LISTENING] = "listen",
    [PHASE_ACCEPT] = "accept",   [PHASE_ACCEPT_WILDCARD] = "accept",
};

/* The errors that setsockopt(2), socket(2) and bind(2) give for options, by the names that manual
 * pages use: strerror() is not async-signal-safe. */
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

static void write_line(struct text *line, const char *where)
{
    if (line->length + 1 == line->size)
        line->length--;
    text_put(line, "\n");
    int fd = text_equal(where, "stderr")
                 ? STDERR_FILENO
                 : kernel_open(where, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY);
    if (fd < 0)
        return;
    kernel_write(fd, line->bytes, line->length);
    if (fd != STDERR_FILENO)
        kernel_close(fd);
}

/* "socktune[PID] NAME: " */
static void begin(struct text *line)
{
    text_put(line, "socktune[");
    text_put_number(line, kernel_call(SYS_getpid));
    text_put(line, "] ");
    text_put(line, state.program);
    text_put(line, ": ");
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

static void put_end(struct text *line, const struct address *address, uint16_t port)
{
    if (address_is_v4(address)) {
        for (unsigned i = 12; i < 16; i++) {
            text_put(line, i == 12 ? "" : ".");
            text_put_number(line, address->bytes[i]);
        }
    } else {
        text_put(line, "[");
        for (unsigned i = 0; i < 16; i += 2) {
            text_put(line, i == 0 ? "" : ":");
            put_hex(line, (unsigned)(address->bytes[i] << 8 | address->bytes[i + 1]));
        }
        text_put(line, "]");
    }
    text_put(line, ":");
    text_put_number(line, port);
}

/* "connect fd 5 127.0.0.1:40000 -> 10.0.0.1:80: ", as far as it is known */
static void put_socket(struct text *line, const char *call, int fd, const struct sockinfo *sockinfo)
{
    text_put(line, call);
    text_put(line, " fd ");
    text_put_number(line, fd);
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

static void put_rule(struct text *line, const struct policy_action *action)
{
    const struct policy *policy = &state.policy;
    uint32_t index = (uint32_t)(action - policy->actions);
    for (uint32_t i = 0; i < state.active.count; i++) {
        const struct policy_rule *rule = &policy->rules[state.active.rules[i]];
        if (index - rule->actions.first < rule->actions.count) {
            text_put(line, " (rule ");
            text_put(line, policy_string(policy, rule->name));
            text_put(line, ", ");
            text_put(line, policy_string(policy, action->file));
            text_put(line, ":");
            text_put_number(line, (long)action->line);
            text_put(line, ")");
            return;
        }
    }
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

static void put_option(struct text *line, const struct policy_action *action)
{
    const struct policy *policy = &state.policy;
    text_put(line, policy_string(policy, policy->options[action->option].name));
    text_put(line, " = ");
    text_put(line, policy_string(policy, action->text));
}

static void trace_result(int fd, const struct sockinfo *sockinfo, enum phase phase,
                         const struct policy_action *action, const char *result, int error)
{
    char bytes[LINE_MAX_BYTES];
    struct text line = TEXT(bytes);
    begin(&line);
    put_socket(&line, phase_names[phase], fd, sockinfo);
    put_option(&line, action);
    put_rule(&line, action);
    text_put(&line, ": ");
    text_put(&line, result);
    if (error != 0)
        put_error(&line, error);
    write_line(&line, state.trace);
}

void trace_action(int fd, const struct sockinfo *sockinfo, enum phase phase,
                  const struct policy_action *action, int error)
{
    if (__builtin_expect(state.trace != NULL, 0))
        trace_result(fd, sockinfo, phase, action, error == 0 ? "set" : "failed: ", error);
}

void trace_kept(int fd, const struct sockinfo *sockinfo, enum phase phase,
                const struct policy_action *action)
{
    if (__builtin_expect(state.trace != NULL, 0))
        trace_result(fd, sockinfo, phase, action, "left as the program set it", 0);
}

void trace_swallowed(int fd, const struct sockinfo *sockinfo, uint32_t option)
{
    if (__builtin_expect(state.trace == NULL, 1))
        return;
    char bytes[LINE_MAX_BYTES];
    struct text line = TEXT(bytes);
    begin(&line);
    put_socket(&line, "setsockopt", fd, sockinfo);
    text_put(&line, policy_string(&state.policy, state.policy.options[option].name));
    text_put(&line, ": the program's own setting is ignored");
    write_line(&line, state.trace);
}

void trace_start(const char *rules)
{
    if (state.trace == NULL)
        return;
    char bytes[LINE_MAX_BYTES];
    struct text line = TEXT(bytes);
    begin(&line);
    text_put_number(&line, (long)state.active.count);
    text_put(&line, " of ");
    text_put_number(&line, (long)state.policy.rule_count);
    text_put(&line, " rules in ");
    text_put(&line, rules);
    text_put(&line, " are for this program");
    write_line(&line, state.trace);
}

void trace_untuned(const char *what, const char *why)
{
    char bytes[LINE_MAX_BYTES];
    struct text line = TEXT(bytes);
    text_put(&line, "socktune: ");
    if (what != NULL) {
        text_put(&line, what);
        text_put(&line, ": ");
    }
    text_put(&line, why);
    text_put(&line, "; ");
    text_put(&line, state.program);
    text_put(&line, " runs untuned");
    write_line(&line, "stderr");
}
