/* SPDX-License-Identifier: MIT */
/*
 * Accepted sockets. Most rules are settled on the listener and cost nothing here; what remains are
 * options that are not inherited, rules on the peer, and rules on the local address where the
 * listener stands for all addresses.
 *
 * The peer's address is asked of the kernel and not read from the caller's buffer: the buffer may
 * be too small or absent, and the caller's pointers are for the kernel to judge (EFAULT).
 */
#include "accepted.h"

#include "adopt.h"
#include "learn.h"
#include "report.h"
#include "tune.h"
#include "waiting.h"

#include <errno.h>

static bool listener_is_wildcard(int listener)
{
    struct subject subject;
    subject_at_listen(&subject);
    learn(listener, &subject, FACT_LOCAL, MOMENT_LISTEN);
    return (subject.known & FACT_LOCAL) == 0 || address_is_unspecified(&subject.local);
}

/* Which of these moments the accepted socket has. */
static unsigned moments_of(int listener, unsigned moments)
{
    const unsigned wildcard = MOMENT_BIT(MOMENT_ACCEPT_WILDCARD);
    return (moments & wildcard) != 0 && !listener_is_wildcard(listener) ? moments & ~wildcard
                                                                        : moments;
}

/* One decision for both. The report asks for the peer in any case, and the peer tells the family,
 * of which the options would ask in its place. */
static void tune_and_report(int fd, unsigned moments)
{
    struct subject subject;
    struct decision decision;
    subject_at_accept(&subject);
    learn(fd, &subject, FACT_REMOTE, MOMENT_ACCEPT);
    tune_decide(fd, &subject, MOMENT_ACCEPT, moments | moments_behind(&subject), &decision);
    if (moments != 0)
        tune_apply(fd, &subject, &decision, moments);
    report_accept(fd, &subject, &decision);
}

static void tune_by_peer(int fd, unsigned moments)
{
    struct subject subject;
    struct decision decision;
    subject_at_accept(&subject);
    tune_decide(fd, &subject, MOMENT_ACCEPT, moments, &decision);
    tune_apply(fd, &subject, &decision, moments);
}

static void adopt_and_report(int fd)
{
    struct subject subject;
    subject_at_accept(&subject);
    adopt_accepted(fd);
    if (reports(ROLE_ACCEPT))
        report_accept(fd, &subject, NULL);
}

/* Not in line, so that other connections pass through with a small frame. */
static __attribute__((noinline)) void tune_inherited(int listener, int fd, unsigned moments)
{
    int saved = errno;
    moments = moments_of(listener, moments);
    if (waiting_any() && waiting_accepted(listener))
        adopt_and_report(fd);
    else if (reports(ROLE_ACCEPT) && report_finds_ring())
        tune_and_report(fd, moments);
    else if (moments != 0)
        tune_by_peer(fd, moments);
    errno = saved;
}

void tune_accepted(int listener, int fd)
{
    unsigned moments =
        state.moments & (MOMENT_BIT(MOMENT_ACCEPT) | MOMENT_BIT(MOMENT_ACCEPT_WILDCARD));
    if (fd >= 0 && (moments != 0 || waiting_any() || reports(ROLE_ACCEPT)))
        tune_inherited(listener, fd, moments);
}
