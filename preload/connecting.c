/* SPDX-License-Identifier: MIT */
/*
 * Before the call: the rules on the remote address and on connecting sockets, and `source`. After
 * it: what the kernel forgets when it is set before the connection exists, and the report.
 *
 * A program may call connect() again to learn how the first call ended: that is no new connection,
 * and nothing is done. Or it connects a socket again, to another peer, after a failure or as
 * datagram sockets may: then what a rule on the former peer gave is undone first.
 */
#include "connecting.h"

#include "learn.h"
#include "reconnect.h"

#include <errno.h>

/* Returns 0, or the errno with which the call must fail. */
static int tune_before(const struct rules_in_force *rules, struct connecting *connecting, int fd,
                       bool again)
{
    unsigned phases = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED);
    /* A report says what the socket has from earlier calls, too. */
    if (connecting->reported)
        phases |= PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_BIND);
    tune_decide(rules, fd, &connecting->sockinfo, PHASE_CONNECT, phases, &connecting->decision);
    if (again)
        tune_undo(rules, fd, &connecting->sockinfo, &connecting->decision);
    reconnect_note_given(fd, undo_given(&rules->policy, &connecting->decision));
    return tune_apply(rules, fd, &connecting->sockinfo, &connecting->decision,
                      PHASE_BIT(PHASE_CONNECT));
}

/* Is there somebody who is to be told of connections? */
static bool is_reported_connect(const struct rules_in_force *rules)
{
    return (rules->reports & (ROLE_CONNECT | ROLE_DATAGRAM)) != 0 && report_finds_ring(rules);
}

/* Is it a connection of ours, and what is to be done about it? The address costs a system call
 * where it does not lie on the stack, so it is not looked at if nobody is told and no rule gives
 * anything at this call. A record needs the protocol: so it is asked at once, by the call that
 * tells both. Returns as tune_before(). */
static int begin_by_rules(const struct rules_in_force *rules, struct connecting *connecting, int fd,
                          const struct sockaddr *address, socklen_t length)
{
    const unsigned phases = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED);
    bool again = reconnect_note(fd);
    bool reported = is_reported_connect(rules);
    if ((!reported && !rules_act_at(rules, phases)) ||
        !tune_begin_at_connect(&connecting->sockinfo, fd, address, length,
                               reported && (rules->reports & ROLE_CONNECT) != 0))
        return 0;
    connecting->tuned = !again || !learn_has_connected(OWN_SOCKET(fd));
    if (!connecting->tuned)
        return 0;
    connecting->reported = reported && (connecting->sockinfo.families & FAMILY_IP) != 0;
    if (connecting->reported)
        report_moment(rules, &connecting->sockinfo);
    int failure = tune_before(rules, connecting, fd, again);
    if (connecting->reported && failure == 0)
        connecting->cookie = report_connecting(rules, fd, &connecting->sockinfo);
    return failure;
}

bool connecting_begin(struct connecting *connecting, int fd, const struct sockaddr *address,
                      socklen_t length)
{
    int saved = errno;
    const struct rules_in_force *rules = rules_enter();
    connecting->tuned = connecting->reported = false;
    connecting->cookie = 0;
    connecting->rules = rules;
    connecting->generation = rules->generation;
    int failure = begin_by_rules(rules, connecting, fd, address, length);
    rules_leave(rules);
    errno = failure != 0 ? failure : saved;
    return failure == 0;
}

/* The rules that it was decided by have been given up for newer ones while the call waited: it is
 * decided by those. */
static __attribute__((noinline)) void decide_anew(const struct rules_in_force *rules,
                                                  struct connecting *connecting, int fd)
{
    tune_decide(rules, fd, &connecting->sockinfo, PHASE_CONNECTED,
                PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_BIND) | PHASE_BIT(PHASE_CONNECT) |
                    PHASE_BIT(PHASE_CONNECTED),
                &connecting->decision);
}

static void end_by_rules(struct connecting *connecting, int fd, int error)
{
    const struct rules_in_force *rules =
        rules_enter_again(connecting->rules, connecting->generation);
    if (rules->generation != connecting->generation)
        decide_anew(rules, connecting, fd);
    if (error == 0 && rules_act_at(rules, PHASE_BIT(PHASE_CONNECTED)))
        tune_apply(rules, fd, &connecting->sockinfo, &connecting->decision,
                   PHASE_BIT(PHASE_CONNECTED));
    if (connecting->reported && rules->report != NULL)
        report_connect(rules, fd, &connecting->sockinfo, &connecting->decision, connecting->cookie,
                       error);
    rules_leave(rules);
}

void connecting_end(struct connecting *connecting, int fd, bool succeeded)
{
    int error = errno;
    if (connecting->tuned)
        end_by_rules(connecting, fd, succeeded || error == EINPROGRESS ? 0 : error);
    errno = error;
}
