/* SPDX-License-Identifier: MIT */
/*
 * Limits the log lines that a user's programs may cause. Pure: the caller passes the time.
 */
#ifndef SOCKTUNE_HELPER_LOG_LIMIT_H
#define SOCKTUNE_HELPER_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LOG_USER_LINES 20u
#define LOG_ALL_LINES  100u
#define LOG_WINDOW_NS  UINT64_C(10000000000)
#define LOG_USERS_MAX  64u /* users with their own limit per window; further users share one */

/* Initially {0}. */
struct log_limit {
    uint64_t window; /* start of the window, CLOCK_MONOTONIC ns */
    unsigned lines;  /* written in this window */
    uint64_t omitted;
    unsigned user_count;
    struct log_user {
        uid_t uid;
        unsigned lines;
    } users[LOG_USERS_MAX + 1];
};

/* True if a line about this user may be written now. Counts it as written or omitted. */
bool log_limit_take(struct log_limit *limit, uid_t uid, uint64_t now);

/* If the window has ended, begin a new one, and return the number of lines omitted in the old
 * one. */
uint64_t log_limit_tick(struct log_limit *limit, uint64_t now);

#endif
