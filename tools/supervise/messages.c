/* SPDX-License-Identifier: MIT */
/*
 * Messages, each built in a buffer and written at once.
 */
#include "messages.h"
#include "utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 1024

/* What programs choose, their names for one, is escaped. */
static void __attribute__((format(printf, 1, 0)))
print_message(const char *format, va_list arguments, const char *remark)
{
    char line[MESSAGE_BYTES], *text = utf8_vprintable(format, arguments);
    int length;
    length = snprintf(line, sizeof line, "socktune: %s%s\n", text != NULL ? text : strerror(ENOMEM),
                      remark);
    free(text);
    if ((size_t)length >= sizeof line) {
        length = sizeof line - 1;
        line[length - 1] = '\n';
    }
    if (write(STDERR_FILENO, line, (size_t)length) < 0)
        return; /* there is nobody else to report to */
}

void message_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments, "");
    va_end(arguments);
}

/* Counts a message; its number within the minute, from 1. */
static unsigned count_message(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static time_t minute;
    static unsigned count;
    struct timespec now;
    unsigned number;
    clock_gettime(CLOCK_MONOTONIC, &now);
    /* In a forked child another thread may seem to hold it for ever. */
    if (pthread_mutex_trylock(&lock) != 0)
        return 1;
    if (count == 0 || now.tv_sec - minute >= 60) {
        minute = now.tv_sec;
        count = 0;
    }
    number = ++count;
    pthread_mutex_unlock(&lock);
    return number;
}

void message_print_limited(const char *format, ...)
{
    unsigned number = count_message();
    va_list arguments;
    if (number > MESSAGES_A_MINUTE)
        return;
    va_start(arguments, format);
    print_message(format, arguments,
                  number == MESSAGES_A_MINUTE ? " (more messages of this minute are left out)"
                                              : "");
    va_end(arguments);
}

bool message_fits(int fd, const char *journal_stream)
{
    uintmax_t device, inode;
    struct stat status;
    if (fstat(fd, &status) != 0)
        return false;
    if (!S_ISSOCK(status.st_mode))
        return true;
    return journal_stream != NULL &&
           sscanf(journal_stream, "%" SCNuMAX ":%" SCNuMAX, &device, &inode) == 2 &&
           device == status.st_dev && inode == status.st_ino;
}

bool messages_fit(void)
{
    return message_fits(STDERR_FILENO, getenv("JOURNAL_STREAM"));
}

void message_warn(const char *format, ...)
{
    va_list arguments;
    char *text;
    if (!messages_fit())
        return;
    va_start(arguments, format);
    text = utf8_vprintable(format, arguments);
    va_end(arguments);
    if (text != NULL)
        fprintf(stderr, "socktune run: warning: %s\n", text);
    free(text);
}
