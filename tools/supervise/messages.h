/* SPDX-License-Identifier: MIT */
/*
 * Messages of the supervisor on standard error. Thread-safe: a message is one write.
 */
#ifndef SOCKTUNE_MESSAGES_H
#define SOCKTUNE_MESSAGES_H

#include <stdbool.h>

/* Print "socktune: ..." and a line end. */
void message_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for a message that thousands of processes may cause: at most MESSAGES_A_MINUTE of these
 * are printed in a minute, the last one with the remark that more are left out. */
void message_print_limited(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define MESSAGES_A_MINUTE 10u

/* May messages be written to this descriptor? Not if it is a socket, since a network peer may read
 * it, unless it is the journal's by `journal_stream` ($JOURNAL_STREAM, systemd.exec(5); may be
 * NULL). */
bool message_fits(int fd, const char *journal_stream);

/* The same of standard error, which the program will have too. */
bool messages_fit(void);

/* Before the program starts: "socktune run: warning: ..." and a line end, if messages_fit(). */
void message_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
