/* SPDX-License-Identifier: MIT */
/*
 * What the hooks do before and after a call that connects: connect(), and sendto() and sendmsg()
 * with MSG_FASTOPEN. Keeps errno; async-signal-safe, thread-safe.
 */
#ifndef SOCKTUNE_CONNECTING_H
#define SOCKTUNE_CONNECTING_H

#include "report.h"
#include "tune.h"

/* The state of one call. It lives on the stack of the hook. */
struct connecting {
    struct sockinfo sockinfo;
    struct decision decision;
    const struct rules_in_force *rules; /* the rules that decided */
    uint64_t generation;                /* of `rules` */
    bool tuned;
    bool reported;
    uint64_t cookie; /* from report_connecting() */
};

/* The hooks' first question: is anything to be done for such calls? */
static inline bool connecting_concerns_us(void)
{
    return tunes_at(PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED)) ||
           reports(ROLE_CONNECT | ROLE_DATAGRAM);
}

/* Call this before connect(). If it returns false, the hook must fail with this errno instead of
 * making the call. */
bool connecting_begin(struct connecting *connecting, int fd, const struct sockaddr *address,
                      socklen_t length);

/* Call this after connect(). Pass whether it succeeded; errno is that of the call. */
void connecting_end(struct connecting *connecting, int fd, bool succeeded);

#endif
