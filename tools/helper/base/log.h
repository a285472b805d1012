/* SPDX-License-Identifier: MIT */
/*
 * The helper's log: lines on standard error.
 */
#ifndef SOCKTUNE_HELPER_LOG_H
#define SOCKTUNE_HELPER_LOG_H

#include <sys/types.h>

/* Write one line, after the priority (LOG_ERR, ...) if the journal reads standard error. For events
 * of the helper itself or its administrator. */
void helper_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for events that a user's programs cause. A user gets LOG_USER_LINES lines in
 * LOG_WINDOW_NS, all users together LOG_ALL_LINES. Further lines are counted, and one line reports
 * their number. */
void helper_log_user(int priority, uid_t uid, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Call this once a second: writes the number of omitted lines when their window has ended. */
void helper_log_tick(void);

#endif
