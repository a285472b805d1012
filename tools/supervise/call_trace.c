/* SPDX-License-Identifier: MIT */
/*
 * Trace lines, each built in a buffer and written at once.
 */
#include "call_trace.h"
#include "trace_line.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const char *destination;

void call_trace_to(const char *where)
{
    destination = where != NULL && *where ? where : NULL;
}

bool call_trace_is_on(void)
{
    return destination != NULL;
}

/* Nobody can be reported that nothing can be reported. */
static void write_line(int fd, const char *line, size_t length)
{
    if (write(fd, line, length) < 0)
        return;
}

static void trace_call(struct text *line)
{
    int fd = strcmp(destination, "stderr") == 0
                 ? STDERR_FILENO
                 : open(destination, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        return;
    trace_line_end(line);
    write_line(fd, line->bytes, line->length);
    if (fd != STDERR_FILENO)
        close(fd);
}

static struct trace_program program_of(const struct traced_call *call)
{
    return (struct trace_program){call->policy, call->target->program->name, call->target->pid};
}

/* Late, the rule's own value may be what is found: a socket is bound first and listens then. */
static bool has_it(const struct application *application, const struct policy_action *action)
{
    const struct policy *policy = application->policy;
    const struct policy_option *option = &policy->options[action->option];
    uint8_t now[POLICY_VALUE_MAX];
    socklen_t length = sizeof now;
    return getsockopt(application->socket->fd, option->level, option->optname, now, &length) == 0 &&
           length == action->length && memcmp(now, policy->data + action->value, length) == 0;
}

void call_trace_action(const struct application *application, const struct policy_action *action,
                       enum phase phase, enum applied result, int error)
{
    const struct traced_call *call = application->context;
    const struct trace_program program = program_of(call);
    const struct trace_socket socket = {call->name, call->fd, application->sockinfo};
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    (void)phase;
    if (result == APPLIED_KEPT && has_it(application, action))
        return;
    trace_line_action(&line, &program, &socket, action, result, error);
    trace_call(&line);
}

void call_trace_swallowed(const struct traced_call *call, const struct sockinfo *sockinfo,
                          uint32_t option, uint32_t held)
{
    const struct trace_program program = program_of(call);
    const struct trace_socket socket = {call->name, call->fd, sockinfo};
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    trace_line_swallowed(&line, &program, &socket, option, held);
    trace_call(&line);
}
