/* SPDX-License-Identifier: MIT */
/*
 * A fake of sock_diag: its kernel has the sockets that the test adds, and reports those that the
 * test destroys. One kernel for all namespaces; no real socket is opened.
 */
#ifndef SOCKTUNE_TESTS_FAKE_SOCK_DIAG_H
#define SOCKTUNE_TESTS_FAKE_SOCK_DIAG_H

#include "netns_monitor.h"

#define FAKE_NETNS 1u /* the namespace in tracked_start() */

/* The state that monitors and the poller use. `connections` is new. */
struct fake_kernel {
    struct conntrack conntrack;
    struct helper_counts counts;
    unsigned lookups; /* sockets that were looked up one by one */
    unsigned dumps;
    bool more;         /* what read() returns: more data is waiting */
    bool fails;        /* all calls fail */
    uint64_t overruns; /* returned by the next call of overruns() */
    size_t room;       /* ends that fit into the receive buffer */
    bool watches_udp;  /* ends of UDP sockets are monitored */
    uint32_t drops;    /* of each UDP socket */
};

/* An empty kernel; the clock shows 1000 s. Only one can exist. */
struct fake_kernel *fake_kernel_new(void);
void fake_kernel_free(struct fake_kernel *kernel);

/* Add the socket that a record describes; it belongs to `uid`. */
void fake_kernel_add(const struct connection_start *start, uid_t uid);
/* Remove the socket without an event. */
void fake_kernel_forget(uint64_t cookie);
/* Destroy the socket; monitors get the event at their next read. */
void fake_kernel_destroy(uint64_t cookie);
/* Send a destroy event for a socket that was never added. */
void fake_kernel_destroy_unknown(const struct connection_start *start);

/* Advance the clock. */
void fake_kernel_pass(uint64_t nanoseconds);

#endif
