/* SPDX-License-Identifier: MIT */
/*
 * No descriptor may stay open in the program, so the trace file is opened and closed for each line.
 * O_APPEND keeps the lines of many processes whole. This is slow, which does not matter here.
 */
#include "trace.h"

#include "kernel.h"
#include "text.h"
#include "trace_line.h"

/* Device and inode of the journal's socket; inode 0 if there is none. */
static struct {
    uint64_t device;
    uint64_t inode;
} journal;

static const char *parse_decimal(const char *text, uint64_t *number)
{
    *number = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        *number = *number * 10 + (uint64_t)(*text - '0');
    return text;
}

void trace_journal(const char *stream)
{
    if (stream == NULL)
        return;
    stream = parse_decimal(stream, &journal.device);
    if (*stream == ':')
        parse_decimal(stream + 1, &journal.inode);
}

bool trace_may_use_stderr(void)
{
    struct statx file;
    if (kernel_statx(STDERR_FILENO, "", AT_EMPTY_PATH, &file) != 0)
        return false;
    return (file.stx_mode & S_IFMT) != S_IFSOCK ||
           (journal.inode == file.stx_ino && journal.device == statx_device(&file));
}

/* Opens a trace file safely: another user may have put there a link to another file, a FIFO without
 * a reader, or a file of his own to which root must not write. */
static int open_trace(const char *path)
{
    int fd = kernel_open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
    struct statx file;
    if (fd < 0)
        return -1;
    if (kernel_statx(fd, "", AT_EMPTY_PATH, &file) == 0 && (file.stx_mode & S_IFMT) == S_IFREG &&
        (file.stx_uid == 0 || kernel_call(SYS_geteuid) != 0))
        return fd;
    kernel_close(fd);
    return -1;
}

static void write_trace_line(struct text *line, const char *where)
{
    trace_line_end(line);
    if (text_equal(where, "stderr")) {
        if (trace_may_use_stderr())
            kernel_write(STDERR_FILENO, line->bytes, line->length);
        return;
    }
    int fd = open_trace(where);
    if (fd < 0)
        return;
    kernel_write(fd, line->bytes, line->length);
    kernel_close(fd);
}

static struct trace_program this_program(const struct rules_in_force *rules)
{
    return (struct trace_program){
        .policy = &rules->policy, .name = state.program, .pid = kernel_call(SYS_getpid)};
}

/* noinline: a hook that does not trace needs no room for a line. */
static __attribute__((noinline)) void write_action(const struct rules_in_force *rules,
                                                   const struct trace_socket *socket,
                                                   const struct policy_action *action,
                                                   enum applied result, int error)
{
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    const struct trace_program program = this_program(rules);
    trace_line_action(&line, &program, socket, action, result, error);
    write_trace_line(&line, state.trace);
}

void trace_action(const struct rules_in_force *rules, const struct application *application,
                  enum phase phase, const struct policy_action *action, enum applied result,
                  int error)
{
    if (__builtin_expect(state.trace == NULL, 1))
        return;
    const struct trace_socket socket = {trace_call_name(phase), application->socket->fd,
                                        application->sockinfo};
    write_action(rules, &socket, action, result, error);
}

void trace_swallowed(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                     uint32_t option, uint32_t held)
{
    if (__builtin_expect(state.trace == NULL, 1))
        return;
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    const struct trace_program program = this_program(rules);
    const struct trace_socket socket = {"setsockopt", fd, sockinfo};
    trace_line_swallowed(&line, &program, &socket, option, held);
    write_trace_line(&line, state.trace);
}

/* Writes "...: N of M rules". */
static void begin_count(struct text *line, const struct rules_in_force *rules)
{
    const struct trace_program program = this_program(rules);
    trace_line_begin(line, &program);
    text_put_number(line, (long)rules->active.count);
    text_put(line, " of ");
    text_put_number(line, (long)rules->policy.rule_total);
}

void trace_start(const char *path)
{
    if (state.trace == NULL)
        return;
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    begin_count(&line, &state.rules);
    text_put(&line, " rules in ");
    text_put_escaped(&line, path);
    text_put(&line, " are for this program");
    write_trace_line(&line, state.trace);
}

void trace_taken(const struct rules_in_force *rules)
{
    if (state.trace == NULL)
        return;
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    begin_count(&line, rules);
    text_put(&line, " new rules are for this program");
    write_trace_line(&line, state.trace);
}

void trace_untuned(const char *what, const char *why, bool strict)
{
    char bytes[TRACE_LINE_BYTES];
    struct text line = TEXT(bytes);
    text_put(&line, "socktune: ");
    if (what != NULL) {
        text_put_escaped(&line, what);
        text_put(&line, ": ");
    }
    text_put_escaped(&line, why);
    text_put(&line, "; ");
    text_put_escaped(&line, state.program);
    text_put(&line, strict ? " is not started, as SOCKTUNE_STRICT demands" : " runs untuned");
    write_trace_line(&line, "stderr");
}
