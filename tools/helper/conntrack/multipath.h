/* SPDX-License-Identifier: MIT */
/*
 * The Multipath TCP sockets that are tracked in one network namespace.
 *
 * To the kernel such a socket is one of the protocol MPTCP, which sock_diag lists but of whose end
 * nobody is told, and under it a TCP socket for each path (subflow), with cookies of their own. The
 * first path has the ends that getsockname() and getpeername() tell of the whole. By these its
 * TCP_INFO and its end are found; what has only one path is thereby known as well as TCP.
 *
 * An accepted MPTCP socket bears its listener's cookie if that was asked for before (the kernel
 * clones it, Linux 6.18: net/mptcp/protocol.c, mptcp_sk_clone_init()), so an identity is made up.
 */
#ifndef SOCKTUNE_HELPER_MULTIPATH_H
#define SOCKTUNE_HELPER_MULTIPATH_H

#include "connections.h"
#include "flow.h"

struct multipath;

/* A tracked socket. */
struct multipath_socket {
    uint64_t cookie;         /* by which the model knows it */
    uint64_t met;            /* when a dump met it last, CLOCK_MONOTONIC ns; 0: never */
    unsigned missed;         /* dumps that did not meet it, since */
    bool has_last_word;      /* the first path is over, and its figures are the connection's */
    uint32_t unacknowledged; /* of that path, as struct connection_reading has it */
};

/* An identity for an accepted connection that no cookie is equal to. `time`: as its record tells
 * it, so that the same record gives the same identity. Pure. */
uint64_t multipath_identity(const struct flow *flow, uint64_t time);

/* NULL without memory. */
struct multipath *multipath_new(void);
void multipath_free(struct multipath *all);

/* Track, and forget. Without memory it is not tracked. */
void multipath_add(struct multipath *all, const struct connection *connection);
void multipath_remove(struct multipath *all, const struct connection *connection);

/* Whose socket an answer is about: of the MPTCP socket itself, or of its first path. NULL: of none
 * that is tracked. Valid until something is removed. */
struct multipath_socket *multipath_find(struct multipath *all, const struct flow *flow,
                                        uint64_t cookie);

/* Call `visit` for each; it may remove the one that it is given. */
typedef void multipath_visit(void *context, struct multipath_socket *socket);
void multipath_each(struct multipath *all, multipath_visit *visit, void *context);

#endif
