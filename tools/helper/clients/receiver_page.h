/* SPDX-License-Identifier: MIT */
/*
 * The memory that guard and receivers share: what the receiver is doing, and which users made
 * receivers hang. Only these processes of the helper write it.
 */
#ifndef SOCKTUNE_HELPER_RECEIVER_PAGE_H
#define SOCKTUNE_HELPER_RECEIVER_PAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define STRIKES_ROOM  128u
#define STRIKE_AGE_NS UINT64_C(60000000000)

struct receiver_strike {
    uint64_t when; /* CLOCK_MONOTONIC ns; 0: free */
    uid_t uid;
    pid_t receiver;
};

/* Initially {0}. */
struct receiver_page {
    uint64_t busy_since; /* CLOCK_MONOTONIC ns; 0: waits for clients */
    uid_t busy_with;     /* the user whose message it reads or closes */
    uint32_t next;
    struct receiver_strike strikes[STRIKES_ROOM]; /* the oldest are overwritten */
};

/* Note that a receiver hangs, or may hang, because of a user. */
void receiver_page_strike(struct receiver_page *page, uid_t uid, pid_t receiver, uint64_t now);

/* Returns how many strikes of a user count: those less than a minute old, or whose receiver still
 * exists. */
unsigned receiver_page_strikes(const struct receiver_page *page, uid_t uid, uint64_t now);

#endif
