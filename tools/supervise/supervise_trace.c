/* SPDX-License-Identifier: MIT */
/*
 * Lines of the supervisor, each built in a buffer and written at once.
 */
#include "supervise_trace.h"
#include "trace_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES 1024

static const char *destination;

void supervise_trace_to(const char *where)
{
    destination = where && *where ? where : NULL;
}

bool supervise_tracing(void)
{
    return destination != NULL;
}

/* Nobody can be told that nothing can be told. */
static void write_line(int fd, const char *line, size_t length)
{
    if (write(fd, line, length) < 0)
        return;
}

static void trace(struct text *line)
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
    return (struct trace_program){call->policy, call->peer->name, call->peer->pid};
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

void supervise_tell(const struct application *application, const struct policy_action *action,
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
    trace(&line);
}

void supervise_tell_swallowed(const struct traced_call *call, const struct sockinfo *sockinfo,
                              uint32_t option)
{
    const struct trace_program program = program_of(call);
    const struct trace_socket socket = {call->name, call->fd, sockinfo};
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);

    trace_line_swallowed(&line, &program, &socket, option);
    trace(&line);
}

void supervise_say(const char *format, ...)
{
    char line[MESSAGE_BYTES], *text = NULL;
    int length;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    length = snprintf(line, sizeof line, "socktune: %s\n", text ? text : strerror(ENOMEM));
    free(text);
    if ((size_t)length >= sizeof line) {
        length = sizeof line - 1;
        line[length - 1] = '\n';
    }
    write_line(STDERR_FILENO, line, (size_t)length);
}
