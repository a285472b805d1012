/* SPDX-License-Identifier: MIT */
/*
 * What goes around a call that connects: connect(), and sendto() and sendmsg() with MSG_FASTOPEN.
 * Keeps errno; async-signal-safe, thread-safe.
 */
#ifndef SOCKTUNE_CONNECTING_H
#define SOCKTUNE_CONNECTING_H

#include "report.h"
#include "tune.h"

/* One such call; on the stack of the hook. */
struct connecting {
    struct sockinfo sockinfo;
    struct decision decision;
    const struct rules_in_force *rules; /* by which it was decided */
    uint64_t generation;                /* theirs */
    bool tuned;
    bool reported;
    uint64_t cookie; /* as report_connecting() gave it */
};

/* Is there anything to be done at such calls? The hooks' first question. */
static inline bool connecting_concerns_us(void)
{
    return tunes_at(PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED)) ||
           reports(ROLE_CONNECT | ROLE_DATAGRAM);
}

/* Before the call. False, with errno: the call must not be made, and fails with that error. */
bool connecting_begin(struct connecting *connecting, int fd, const struct sockaddr *address,
                      socklen_t length);

/* After it; errno is that of the call. */
void connecting_end(struct connecting *connecting, int fd, bool succeeded);

#endif
