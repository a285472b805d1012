/* SPDX-License-Identifier: MIT */
/*
 * Tracing. No descriptor stays open in the program, so a trace file is opened for each line and
 * closed again; O_APPEND keeps the lines of many processes whole. Not fast, and need not be.
 */
#include "trace.h"

#include "kernel.h"
#include "text.h"
#include "trace_line.h"

static void write_line(struct text *line, const char *where)
{
    trace_line_end(line);
    int fd = text_equal(where, "stderr")
                 ? STDERR_FILENO
                 : kernel_open(where, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY);
    if (fd < 0)
        return;
    kernel_write(fd, line->bytes, line->length);
    if (fd != STDERR_FILENO)
        kernel_close(fd);
}

static struct trace_program this_program(void)
{
    return (struct trace_program){
        .policy = &state.policy, .name = state.program, .pid = kernel_call(SYS_getpid)};
}

/* Not in line: a hook that does not trace needs no room for a line. */
static __attribute__((noinline)) void write_action(int fd, const struct sockinfo *sockinfo,
                                                   enum phase phase,
                                                   const struct policy_action *action,
                                                   enum applied result, int error)
{
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    const struct trace_program program = this_program();
    const struct trace_socket socket = {trace_call_name(phase), fd, sockinfo};
    trace_line_action(&line, &program, &socket, action, result, error);
    write_line(&line, state.trace);
}

void trace_action(int fd, const struct sockinfo *sockinfo, enum phase phase,
                  const struct policy_action *action, enum applied result, int error)
{
    if (__builtin_expect(state.trace != NULL, 0))
        write_action(fd, sockinfo, phase, action, result, error);
}

void trace_swallowed(int fd, const struct sockinfo *sockinfo, uint32_t option)
{
    if (__builtin_expect(state.trace == NULL, 1))
        return;
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    const struct trace_program program = this_program();
    const struct trace_socket socket = {"setsockopt", fd, sockinfo};
    trace_line_swallowed(&line, &program, &socket, option);
    write_line(&line, state.trace);
}

void trace_start(const char *rules)
{
    if (state.trace == NULL)
        return;
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    const struct trace_program program = this_program();
    trace_line_begin(&line, &program);
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
    char bytes[TRACE_LINE_BYTES];
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
