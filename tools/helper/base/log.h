/* SPDX-License-Identifier: MIT */
/*
 * The helper's log: lines on standard error.
 */
#ifndef SOCKTUNE_HELPER_LOG_H
#define SOCKTUNE_HELPER_LOG_H

#include <sys/types.h>

/* Write one line, with the priority (LOG_ERR, ...) in front where standard error is the journal's.
 * For what the helper itself, or its administrator, does. */
void helper_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for what a user's programs cause. A user gets LOG_USER_LINES lines in LOG_WINDOW_NS, all
 * users together LOG_ALL_LINES. Further lines are counted, and one line reports their number. */
void helper_log_user(int priority, uid_t uid, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Once a second: writes the number of lines that were left out, when their window is over. */
void helper_log_tick(void);

#endif
