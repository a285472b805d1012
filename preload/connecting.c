/* SPDX-License-Identifier: MIT */
/*
 * Before the call: rules on the remote address and on connecting sockets, and `source`. After the
 * call: options that the kernel forgets if they are set before the connection exists, and the
 * report.
 *
 * A program may call connect() again to learn the result of the first call. That is no new
 * connection, and nothing is done. A program may also connect a socket to another peer, after a
 * failure or because it is a datagram socket. Then the options that a rule on the former peer set
 * are undone first.
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
    /* The report also contains options set by earlier calls. */
    if (connecting->reported)
        phases |= PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_BIND);
    tune_decide(rules, fd, &connecting->sockinfo, PHASE_CONNECT, phases, &connecting->decision);
    if (again)
        tune_undo(rules, fd, &connecting->sockinfo, &connecting->decision);
    reconnect_note_given(fd, undo_given(&rules->policy, &connecting->decision));
    return tune_apply(rules, fd, &connecting->sockinfo, &connecting->decision,
                      PHASE_BIT(PHASE_CONNECT));
}

/* True if connections are to be reported and there is a ring. */
static bool is_reported_connect(const struct rules_in_force *rules)
{
    return (rules->reports & (ROLE_CONNECT | ROLE_DATAGRAM)) != 0 && report_finds_ring(rules);
}

/* Reads the address and decides. Checking an address that is not on the stack costs a system call,
 * so the address is not read if nothing is reported and no rule acts at this call. A record needs
 * the protocol, so one system call checks the address and finds the protocol. Returns 0, or the
 * errno with which the call must fail. */
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

/* The slot of the rules was reused while the call blocked: decide again by the rules in force. */
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
