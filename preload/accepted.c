/* SPDX-License-Identifier: MIT */
/*
 * Accepted sockets. Most rules are settled on the listener and cost nothing here; what remains are
 * options that are not inherited, rules on the peer, and rules on the local address where the
 * listener stands for all addresses; and what a listener of MPTCP could not be given for the plain
 * TCP sockets that it accepts.
 *
 * The peer's address is asked of the kernel and not read from the caller's buffer: the buffer may
 * be too small or absent, and the caller's pointers are for the kernel to judge (EFAULT).
 */
#include "accepted.h"

#include "backlog.h"
#include "fallback.h"
#include "inherited.h"
#include "learn.h"
#include "multipath.h"
#include "report.h"
#include "tune.h"

#include <errno.h>

static bool listener_is_wildcard(int listener)
{
    struct sockinfo sockinfo;
    sockinfo_at_listen(&sockinfo);
    learn_facts(OWN_SOCKET(listener), &sockinfo, FACT_LOCAL, PHASE_LISTEN);
    return (sockinfo.known & FACT_LOCAL) == 0 || address_is_unspecified(&sockinfo.local);
}

/* Which of these phases the accepted socket has. */
static unsigned phases_of(int listener, unsigned phases)
{
    const unsigned wildcard = PHASE_BIT(PHASE_ACCEPT_WILDCARD);
    return (phases & wildcard) != 0 && !listener_is_wildcard(listener) ? phases & ~wildcard
                                                                       : phases;
}

/* One decision for both. The report asks for the peer in any case, and the peer tells the family,
 * of which the options would ask in its place. */
static void tune_and_report(int fd, unsigned phases)
{
    struct sockinfo sockinfo;
    struct decision decision;
    sockinfo_at_accept(&sockinfo);
    report_moment(&sockinfo);
    learn_facts(OWN_SOCKET(fd), &sockinfo, FACT_REMOTE, PHASE_ACCEPT);
    tune_decide(fd, &sockinfo, PHASE_ACCEPT, phases | sockinfo_phases_behind(&sockinfo), &decision);
    if (phases != 0)
        tune_apply(fd, &sockinfo, &decision, phases);
    report_accept(fd, &sockinfo, &decision);
}

/* What the listener, which is of MPTCP, could not be given for this plain TCP socket. */
static __attribute__((noinline)) void tune_fallen_back(int fd, unsigned later)
{
    struct sockinfo sockinfo;
    struct decision decision;
    fallback_decide(&state.policy, &state.active, OWN_SOCKET(fd), later, &sockinfo, &decision);
    tune_apply_afterwards(fd, &sockinfo, &decision, FALLBACK_PHASES);
}

static void tune_by_peer(int fd, unsigned phases)
{
    struct sockinfo sockinfo;
    struct decision decision;
    sockinfo_at_accept(&sockinfo);
    tune_decide(fd, &sockinfo, PHASE_ACCEPT, phases, &decision);
    tune_apply(fd, &sockinfo, &decision, phases);
}

static void adopt_and_report(int fd)
{
    struct sockinfo sockinfo;
    sockinfo_at_accept(&sockinfo);
    adopt_accepted(fd);
    if (reports(ROLE_ACCEPT))
        report_accept(fd, &sockinfo, NULL);
}

/* Not in line, so that other connections pass through with a small frame. */
static __attribute__((noinline)) void tune_inherited(int listener, int fd, unsigned phases)
{
    int saved = errno;
    bool fell_back = (phases & PHASE_FALLBACK) != 0 && multipath_fell_back(listener, fd);
    phases = phases_of(listener, phases & ~PHASE_FALLBACK);
    if (fell_back)
        tune_fallen_back(fd, phases);
    if (waiting_any() && waiting_accepted(listener))
        adopt_and_report(fd);
    else if (reports(ROLE_ACCEPT) && report_finds_ring())
        tune_and_report(fd, phases);
    else if (phases != 0)
        tune_by_peer(fd, phases);
    errno = saved;
}

static inline unsigned phases_due(void)
{
    unsigned phases = state.phases &
                      (PHASE_BIT(PHASE_ACCEPT) | PHASE_BIT(PHASE_ACCEPT_WILDCARD) | PHASE_FALLBACK);
    return (phases & PHASE_FALLBACK) != 0 && !multipath_any() ? phases & ~PHASE_FALLBACK : phases;
}

void tune_accepted(int listener, int fd)
{
    unsigned phases = phases_due();
    if (fd >= 0 && (phases != 0 || waiting_any() || reports(ROLE_ACCEPT)))
        tune_inherited(listener, fd, phases);
}
