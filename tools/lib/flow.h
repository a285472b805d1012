/* SPDX-License-Identifier: MIT */
/*
 * A flow: the two addresses and two ports of a connection, and the address family of its socket.
 * All tools describe a connection's ends by this struct. Pure.
 */
#ifndef SOCKTUNE_FLOW_H
#define SOCKTUNE_FLOW_H

#include <stdbool.h>
#include <stdint.h>

struct record;

/* Addresses are in network order, IPv4 as v4-mapped (also on an AF_INET6 socket that speaks IPv4).
 * Ports are in host byte order; 0 means unknown, or the remote port of a listener. The struct has
 * no padding, so it can be a hash key. */
struct flow {
    uint8_t local[16];
    uint8_t remote[16];
    uint16_t local_port;
    uint16_t remote_port;
    uint16_t family; /* of the socket: AF_INET or AF_INET6 */
};
_Static_assert(sizeof(struct flow) == 38, "no padding");

struct flow flow_between(const uint8_t local[16], uint16_t local_port, const uint8_t remote[16],
                         uint16_t remote_port, uint16_t family);

/* Returns the flow of a record (preload/wire/ring.h). */
struct flow flow_of_record(const struct record *record);

/* True if both have the same addresses and ports. The family is ignored: one socket may be known by
 * an IPv4 address and by its v4-mapped form. */
bool flow_has_ends_of(const struct flow *flow, const struct flow *other);

/* Room for an address as text. */
#define FLOW_ADDRESS_SIZE 46

/* Format one of the flow's addresses without its port: 192.0.2.1 for AF_INET, otherwise 2001:db8::1
 * or ::ffff:192.0.2.1. */
void flow_format_address(const uint8_t address[16], int family, char text[FLOW_ADDRESS_SIZE]);

#endif
