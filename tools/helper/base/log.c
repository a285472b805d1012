/* SPDX-License-Identifier: MIT */
/*
 * Log lines. If JOURNAL_STREAM names standard error, the journal reads it, and takes the priority
 * from the beginning of each line (sd-daemon(3)).
 */
#include "log.h"
#include "clock.h"
#include "log_limit.h"
#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <syslog.h>

static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    struct stat status;
    if (stream == NULL || fstat(fileno(stderr), &status) != 0)
        return false;
    snprintf(own, sizeof own, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    return strcmp(stream, own) == 0;
}

static struct log_limit user_lines;

static void __attribute__((format(printf, 2, 0)))
write_log_line(int priority, const char *format, va_list arguments)
{
    char line[512];
    vsnprintf(line, sizeof line, format, arguments);
    utf8_replace_invisible(line); /* names come from programs: they must not break lines */
    if (is_journal())
        fprintf(stderr, "<%d>%s\n", priority, line);
    else
        fprintf(stderr, "socktuned: %s\n", line);
}

void helper_log(int priority, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_log_line(priority, format, arguments);
    va_end(arguments);
}

void helper_log_user(int priority, uid_t uid, const char *format, ...)
{
    va_list arguments;
    if (!log_limit_take(&user_lines, uid, now_monotonic()))
        return;
    va_start(arguments, format);
    write_log_line(priority, format, arguments);
    va_end(arguments);
}

void helper_log_tick(void)
{
    uint64_t omitted = log_limit_tick(&user_lines, now_monotonic());
    if (omitted > 0)
        helper_log(LOG_WARNING, "%llu more messages about users' programs were left out",
                   (unsigned long long)omitted);
}
