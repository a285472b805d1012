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
static int tune_before(struct connecting *connecting, int fd, bool again)
{
    unsigned phases = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED);
    /* A report says what the socket has from earlier calls, too. */
    if (connecting->reported)
        phases |= PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_BIND);
    tune_decide(fd, &connecting->sockinfo, PHASE_CONNECT, phases, &connecting->decision);
    if (again)
        tune_undo(fd, &connecting->sockinfo, &connecting->decision);
    reconnect_note_given(fd, undo_given(&state.policy, &connecting->decision));
    return tune_apply(fd, &connecting->sockinfo, &connecting->decision, PHASE_BIT(PHASE_CONNECT));
}

/* Is the address wanted? It costs a system call where it does not lie on the stack. A connection
 * that nobody is told of, and no rule gives anything to at this call, is left alone. */
static bool is_wanted(bool reported)
{
    return reported || tunes_at(PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED));
}

bool connecting_begin(struct connecting *connecting, int fd, const struct sockaddr *address,
                      socklen_t length)
{
    int saved = errno, failure = 0;
    bool again = reconnect_note(fd);
    bool reported = reports(ROLE_CONNECT | ROLE_DATAGRAM) && report_finds_ring();
    connecting->reported = false;
    connecting->cookie = 0;
    /* A record needs the protocol: so it is asked at once, by the call that tells both. */
    connecting->tuned =
        is_wanted(reported) && tune_begin_at_connect(&connecting->sockinfo, fd, address, length,
                                                     reported && reports(ROLE_CONNECT));
    if (connecting->tuned)
        connecting->tuned = !again || !learn_has_connected(OWN_SOCKET(fd));
    if (connecting->tuned) {
        connecting->reported = reported && (connecting->sockinfo.families & FAMILY_IP) != 0;
        if (connecting->reported)
            report_moment(&connecting->sockinfo);
        failure = tune_before(connecting, fd, again);
        if (connecting->reported && failure == 0)
            connecting->cookie = report_connecting(fd, &connecting->sockinfo);
    }
    errno = failure != 0 ? failure : saved;
    return failure == 0;
}

void connecting_end(struct connecting *connecting, int fd, bool succeeded)
{
    int error = errno;
    bool under_way = succeeded || error == EINPROGRESS;
    if (connecting->tuned && under_way && tunes_at(PHASE_BIT(PHASE_CONNECTED)))
        tune_apply(fd, &connecting->sockinfo, &connecting->decision, PHASE_BIT(PHASE_CONNECTED));
    if (connecting->reported)
        report_connect(fd, &connecting->sockinfo, &connecting->decision, connecting->cookie,
                       under_way ? 0 : error);
    errno = error;
}
