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

static void tune_by_peer(int listener, int fd, unsigned moments)
{
    const unsigned wildcard = MOMENT_BIT(MOMENT_ACCEPT_WILDCARD);
    if ((moments & wildcard) != 0 && !listener_is_wildcard(listener))
        moments &= ~wildcard;
    if (moments == 0)
        return;
    struct subject subject;
    struct decision decision;
    subject_at_accept(&subject);
    tune_decide(fd, &subject, MOMENT_ACCEPT, moments, &decision);
    tune_apply(fd, &subject, &decision, moments);
}

void tune_accepted(int listener, int fd)
{
    unsigned moments =
        state.moments & (MOMENT_BIT(MOMENT_ACCEPT) | MOMENT_BIT(MOMENT_ACCEPT_WILDCARD));
    if (fd < 0 || (moments == 0 && !waiting_any() && !reports(ROLE_ACCEPT)))
        return;
    int saved = errno;
    if (waiting_any() && waiting_accepted(listener))
        adopt_accepted(fd);
    else
        tune_by_peer(listener, fd, moments);
    if (reports(ROLE_ACCEPT))
        report_accept(fd);
    errno = saved;
}
