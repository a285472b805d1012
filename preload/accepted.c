/* SPDX-License-Identifier: MIT */
/*
 * Accepted sockets. Most options are set on the listener, are inherited, and cost nothing here.
 * This file sets the rest: options that are not inherited, rules on the peer, rules on the local
 * address where the listener is bound to the wildcard address, and options of plain TCP that a
 * listener of MPTCP refuses.
 *
 * If rules depend on the peer's address, the kernel is asked for it. A report reads it from the
 * buffer that accept() has filled, but only if the listener is known to be plain TCP: other
 * preloaded libraries may write anything into that buffer.
 */
#include "accepted.h"

#include "backlog.h"
#include "fallback.h"
#include "inherited.h"
#include "learn.h"
#include "listeners.h"
#include "multipath.h"
#include "readable.h"
#include "reconnect.h"
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

/* Returns the phases that the accepted socket has. */
static unsigned phases_of(int listener, unsigned phases)
{
    const unsigned wildcard = PHASE_BIT(PHASE_ACCEPT_WILDCARD);
    return (phases & wildcard) != 0 && !listener_is_wildcard(listener) ? phases & ~wildcard
                                                                       : phases;
}

/* The pointers may be invalid; then the kernel fails the call. The length is read only if it is on
 * the stack. */
void accepting_read(struct accepting *accepting, int listener, struct sockaddr **address,
                    socklen_t **length)
{
    if (!report_knows_listener(listener))
        return;
    if (*address == NULL) {
        accepting->own_length = sizeof accepting->own;
        *address = (struct sockaddr *)&accepting->own;
        *length = &accepting->own_length;
    } else if (!readable_on_stack(*length, sizeof **length)) {
        return;
    }
    accepting->address = *address;
    accepting->length = *length;
    accepting->room = **length;
}

/* Fills in the peer as getpeername() would return it. */
static void read_peer(struct sockinfo *sockinfo, const struct accepting *accepting)
{
    unsigned family = 0;
    if (accepting->room != 0 && *accepting->length <= accepting->room)
        family = address_read(accepting->address, *accepting->length, &sockinfo->remote,
                              &sockinfo->remote_port);
    if ((family & FAMILY_IP) == 0)
        return;
    sockinfo->families = (uint8_t)family;
    sockinfo->known |= FACT_REMOTE;
}

/* One decision serves both. The report always needs the peer's address. It is fetched first: it
 * also gives the family, so matching needs no further call. */
static void tune_and_report(const struct rules_in_force *rules, int listener, int fd,
                            unsigned phases, const struct accepting *accepting)
{
    struct sockinfo sockinfo;
    struct decision decision;
    sockinfo_at_accept(&sockinfo);
    report_moment(rules, &sockinfo);
    reconnect_forget(fd);
    if (report_knows_listener(listener)) {
        reconnect_note_at_home(fd);
        sockinfo.protocols = PROTOCOL_TCP;
        read_peer(&sockinfo, accepting);
    }
    if ((sockinfo.known & FACT_REMOTE) == 0)
        learn_facts(OWN_SOCKET(fd), &sockinfo, FACT_REMOTE, PHASE_ACCEPT);
    tune_decide(rules, fd, &sockinfo, PHASE_ACCEPT, phases | sockinfo_phases_behind(&sockinfo),
                &decision);
    if (phases != 0)
        tune_apply(rules, fd, &sockinfo, &decision, phases);
    report_accept(rules, fd, &sockinfo, &decision);
}

/* Sets on a plain TCP socket what its MPTCP listener refused. */
static __attribute__((noinline)) void tune_fallen_back(const struct rules_in_force *rules, int fd,
                                                       unsigned later)
{
    struct sockinfo sockinfo;
    struct decision decision;
    fallback_decide(&rules->policy, &rules->active, OWN_SOCKET(fd), later, &sockinfo, &decision);
    tune_apply_afterwards(rules, fd, &sockinfo, &decision, FALLBACK_PHASES);
}

static void tune_by_peer(const struct rules_in_force *rules, int fd, unsigned phases)
{
    struct sockinfo sockinfo;
    struct decision decision;
    sockinfo_at_accept(&sockinfo);
    tune_decide(rules, fd, &sockinfo, PHASE_ACCEPT, phases, &decision);
    tune_apply(rules, fd, &sockinfo, &decision, phases);
}

static void tune_older_and_report(const struct rules_in_force *rules, int fd)
{
    struct sockinfo sockinfo;
    sockinfo_at_accept(&sockinfo);
    inherited_tune_accepted(rules, fd);
    if ((rules->reports & ROLE_ACCEPT) != 0)
        report_accept(rules, fd, &sockinfo, NULL);
}

/* True if the connection did not inherit from its listener what these rules set. */
static bool is_from_before(const struct rules_in_force *rules, int listener)
{
    return (waiting_any() && waiting_accepted(listener)) || listener_is_older(listener, rules);
}

static void tune_inherited(const struct rules_in_force *rules, int listener, int fd,
                           unsigned phases, const struct accepting *accepting)
{
    bool fell_back = (phases & PHASE_FALLBACK) != 0 && multipath_fell_back(listener, fd);
    phases = phases_of(listener, phases & ~PHASE_FALLBACK);
    if (fell_back)
        tune_fallen_back(rules, fd, phases);
    if (is_from_before(rules, listener))
        tune_older_and_report(rules, fd);
    else if ((rules->reports & ROLE_ACCEPT) != 0 && report_finds_ring(rules))
        tune_and_report(rules, listener, fd, phases, accepting);
    else if (phases != 0)
        tune_by_peer(rules, fd, phases);
}

/* Returns those of the phases that have something to do. */
static inline unsigned phases_due(unsigned phases, int listener)
{
    phases &= PHASE_BIT(PHASE_ACCEPT) | PHASE_BIT(PHASE_ACCEPT_WILDCARD) | PHASE_FALLBACK;
    return (phases & PHASE_FALLBACK) != 0 && !multipath_may_be(listener) ? phases & ~PHASE_FALLBACK
                                                                         : phases;
}

/* noinline: other connections pass through with a small frame. */
static __attribute__((noinline)) void tune_by_rules(const struct accepting *accepting, int listener,
                                                    int fd)
{
    int saved = errno;
    const struct rules_in_force *rules = rules_enter();
    tune_inherited(rules, listener, fd, phases_due(rules->phases, listener), accepting);
    rules_leave(rules);
    errno = saved;
}

void tune_accepted(const struct accepting *accepting, int listener, int fd)
{
    if (fd >= 0 &&
        (phases_due(state.phases, listener) != 0 || waiting_any() || reports(ROLE_ACCEPT)))
        tune_by_rules(accepting, listener, fd);
}
