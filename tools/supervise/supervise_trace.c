/* SPDX-License-Identifier: MIT */
/*
 * Lines of the supervisor, each built in a buffer and written at once.
 */
#include "supervise_trace.h"
#include "format_option.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 1024

static const char *destination;

void supervise_trace_to(const char *where)
{
    destination = where && *where ? where : NULL;
}

bool supervise_tracing(void)
{
    return destination != NULL;
}

/* A line of `size` bytes including its end; what did not fit into a buffer was cut off. */
static void write_line(int fd, char *line, size_t size)
{
    size_t length = strnlen(line, size - 2);

    line[length++] = '\n';
    /* Nobody can be told that nothing can be told. */
    if (write(fd, line, length) < 0)
        return;
}

static void trace(char *line, size_t size)
{
    int fd = strcmp(destination, "stderr") == 0
                 ? STDERR_FILENO
                 : open(destination, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);

    if (fd < 0)
        return;
    write_line(fd, line, size);
    if (fd != STDERR_FILENO)
        close(fd);
}

/* "127.0.0.1:80" or "[::1]:80" */
static void format_end(const struct address *address, uint16_t port, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    bool v4 = address_is_v4(address);

    inet_ntop(v4 ? AF_INET : AF_INET6, address->bytes + (v4 ? 12 : 0), host, sizeof host);
    snprintf(text, size, v4 ? "%s:%u" : "[%s]:%u", host, port);
}

/* "socktune[PID] NAME: connect fd 5 127.0.0.1:40000 -> 10.0.0.1:80: ", as far as it is known. */
static int begin(char *line, size_t size, const struct traced_call *call,
                 const struct sockinfo *sockinfo)
{
    char local[80] = "", remote[80] = "";

    if (sockinfo->known & FACT_LOCAL)
        format_end(&sockinfo->local, sockinfo->local_port, local, sizeof local);
    if (sockinfo->known & FACT_REMOTE)
        format_end(&sockinfo->remote, sockinfo->remote_port, remote, sizeof remote);
    return snprintf(line, size, "socktune[%d] %s: %s fd %d%s%s%s%s: ", call->peer->pid,
                    call->peer->name, call->name, call->fd, *local ? " " : "", local,
                    *remote ? " -> " : "", remote);
}

/* Late, the rule's own value may be what is found: a socket is bound first and listens then. */
static bool has_it(const struct application *application, const struct policy_action *action)
{
    const struct policy *policy = application->policy;
    const struct policy_option *option = &policy->options[action->option];
    uint8_t now[POLICY_VALUE_MAX];
    socklen_t length = sizeof now;

    return getsockopt(application->fd, option->level, option->optname, now, &length) == 0 &&
           length == action->length && memcmp(now, policy->data + action->value, length) == 0;
}

void supervise_tell(const struct application *application, const struct policy_action *action,
                    enum phase phase, enum applied result, int error)
{
    static const char *const words[] = {[APPLIED_SET] = "set",
                                        [APPLIED_FAILED] = "failed: ",
                                        [APPLIED_KEPT] = "left as the program set it"};
    const struct policy *policy = application->policy;
    char line[LINE_BYTES];
    int length;

    (void)phase;
    if (result == APPLIED_KEPT && has_it(application, action))
        return;
    length = begin(line, sizeof line, application->context, application->sockinfo);
    snprintf(line + length, sizeof line - (size_t)length, "%s = %s (rule %s, %s:%u): %s%s%s%s",
             policy_string(policy, policy->options[action->option].name),
             policy_string(policy, action->text),
             policy_string(policy, action_rule(policy, (uint32_t)(action - policy->actions))->name),
             policy_string(policy, action->file), action->line, words[result],
             error ? strerrorname_np(error) : "", error ? ", " : "",
             error ? strerrordesc_np(error) : "");
    trace(line, sizeof line);
}

void supervise_tell_swallowed(const struct traced_call *call, const struct sockinfo *sockinfo,
                              uint32_t option)
{
    const struct policy *policy = call->policy;
    char line[LINE_BYTES];
    int length = begin(line, sizeof line, call, sockinfo);

    snprintf(line + length, sizeof line - (size_t)length,
             "%s: the program's own setting is ignored",
             policy_string(policy, policy->options[option].name));
    trace(line, sizeof line);
}

void supervise_say(const char *format, ...)
{
    char line[LINE_BYTES], *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    snprintf(line, sizeof line, "socktune: %s", text ? text : strerror(ENOMEM));
    free(text);
    write_line(STDERR_FILENO, line, sizeof line);
}
