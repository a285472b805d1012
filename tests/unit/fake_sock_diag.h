/* SPDX-License-Identifier: MIT */
/*
 * sock_diag of a kernel that a test makes up: it has the sockets that the test gives it, and tells
 * of those that the test destroys. One kernel for all namespaces; nothing here opens a socket.
 */
#ifndef SOCKTUNE_TESTS_FAKE_SOCK_DIAG_H
#define SOCKTUNE_TESTS_FAKE_SOCK_DIAG_H

#include "netns_monitor.h"

#define FAKE_NETNS 1u /* that tracked_start() names */

/* What monitors and the poller take in place of the real thing. `connections` is new. */
struct fake_kernel {
    struct conntrack conntrack;
    struct helper_counts counts;
    unsigned lookups; /* sockets that were asked for by name */
    unsigned dumps;
    bool more;         /* what read() says: more is to be read */
    bool fails;        /* all calls fail */
    uint64_t overruns; /* that the next call of overruns() returns */
    size_t room;       /* ends that wait */
    bool watches_udp;  /* ends of UDP sockets are wanted */
    uint32_t drops;    /* of each UDP socket */
};

/* Empty; the clock shows 1000 s. There is one at a time. */
struct fake_kernel *fake_kernel_new(void);
void fake_kernel_free(struct fake_kernel *kernel);

/* The kernel has the socket that a record tells of; it belongs to `uid`. */
void fake_kernel_add(const struct connection_start *start, uid_t uid);
/* It vanishes without a word. */
void fake_kernel_forget(uint64_t cookie);
/* It is destroyed; monitors learn it when they are read. */
void fake_kernel_destroy(uint64_t cookie);
/* An event of the end of a socket that the kernel was never given. */
void fake_kernel_destroy_unknown(const struct connection_start *start);

/* Let time pass. */
void fake_kernel_pass(uint64_t nanoseconds);

#endif
