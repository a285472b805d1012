/* SPDX-License-Identifier: MIT */
/*
 * Sockets on loopback for the platform tests: every kind that the option table names, and connected
 * pairs. If a socket cannot be created, the test fails, unless the host lacks the protocol.
 */
#ifndef SOCKTUNE_TEST_SOCKETS_H
#define SOCKTUNE_TEST_SOCKETS_H

#include "policy.h"

#include <sys/socket.h>

struct transport {
    const char *name;
    int domain;
    int type;
    int protocol;
    unsigned family_bit;
    unsigned protocol_bit;
};

/* TCP, MPTCP and UDP over IPv4 and IPv6, and AF_UNIX; ends with a NULL name. */
extern const struct transport transports[];

/* The transport of that name; the test fails if there is none. */
const struct transport *transport_named(const char *name);

/* True for transports that listen and accept. */
bool is_stream(const struct transport *transport);

/* False if this host lacks the protocol (IPv6 off, MPTCP disabled). */
bool transport_exists(const struct transport *transport);

/* A new socket. */
int open_socket(const struct transport *transport);

/* Bind to loopback and any free port; for AF_UNIX, to any abstract name. */
void bind_any(const struct transport *transport, int fd);

/* bind_any() and listen(). */
void start_listening(const struct transport *transport, int fd);

/* The address by which `listener` can be reached from this host. */
socklen_t address_of(int listener, struct sockaddr_storage *address);

/* Connect `client` to `listener` and return the accepted socket. The test fails if no connection
 * arrives within a short time. */
int join(int client, int listener);

/* A connected pair: [0] the connecting side, [1] the accepting side. */
void open_pair(const struct transport *transport, int pair[2]);

/* Wait until `fd` is ready for `events` of poll(2); fails the test after 5 s. */
void await(int fd, short events);

/* getsockopt() and setsockopt() for an int; fail the test if the kernel refuses. */
int get_int(int fd, int level, int optname);
void set_int(int fd, int level, int optname, int number);

#endif
