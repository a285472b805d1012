/* SPDX-License-Identifier: MIT */
/*
 * The Multipath TCP sockets that are tracked in one network namespace.
 *
 * In the kernel such a socket is one of protocol MPTCP, which sock_diag lists but for which it
 * sends no destroy event, and below it a TCP socket for each path (subflow), each with its own
 * cookie. The first path has the ends that getsockname() and getpeername() return for the whole.
 * They serve to find its TCP_INFO and its end. So a connection with only one path is known as well
 * as a TCP connection.
 *
 * An accepted MPTCP socket has its listener's cookie if that was read before (the kernel clones it,
 * Linux 6.18: net/mptcp/protocol.c, mptcp_sk_clone_init()), so an identity is made up.
 */
#ifndef SOCKTUNE_HELPER_MULTIPATH_H
#define SOCKTUNE_HELPER_MULTIPATH_H

#include "connections.h"
#include "flow.h"

struct multipath;

/* A tracked socket. */
struct multipath_socket {
    uint64_t cookie;         /* its identity in the model */
    uint64_t met;            /* when a dump last listed it, CLOCK_MONOTONIC ns; 0: never */
    unsigned missed;         /* consecutive dumps since then that did not list it */
    bool has_last_word;      /* the first path has ended, and its figures are the connection's */
    uint32_t unacknowledged; /* of that path, as in struct connection_reading */
};

/* Returns an identity for an accepted connection that differs from all cookies. `time` is from its
 * record, so the same record gives the same identity. Pure. */
uint64_t multipath_identity(const struct flow *flow, uint64_t time);

/* NULL if there is no memory. */
struct multipath *multipath_new(void);
void multipath_free(struct multipath *all);

/* Start and stop tracking. If there is no memory, it is not tracked. */
void multipath_add(struct multipath *all, const struct connection *connection);
void multipath_remove(struct multipath *all, const struct connection *connection);

/* Returns the socket to which an answer belongs: an answer about the MPTCP socket itself, or about
 * its first path. NULL if none is tracked. Valid until something is removed. */
struct multipath_socket *multipath_find(struct multipath *all, const struct flow *flow,
                                        uint64_t cookie);

/* Call `visit` for each socket; it may remove that socket. */
typedef void multipath_visit(void *context, struct multipath_socket *socket);
void multipath_each(struct multipath *all, multipath_visit *visit, void *context);

#endif
