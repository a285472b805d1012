/* SPDX-License-Identifier: MIT */
/*
 * Packets in flight, in order of arrival: a heap over a fixed number of buffers.
 */
#ifndef SOCKTUNE_LINK_FLIGHT_H
#define SOCKTUNE_LINK_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLIGHT_PACKET_SIZE 2048 /* bytes of a buffer; holds an MTU of 1500 */

struct flight;

/* A packet in flight; `bytes` belong to the flight and are valid until the packet is removed. */
struct flown {
    uint64_t due_ns;
    unsigned char *bytes;
    size_t size;
};

/* Create room for `packets`; the caller closes it. NULL if memory is exhausted. */
struct flight *flight_open(size_t packets);
void flight_close(struct flight *flight);

/* The buffer of the next packet, FLIGHT_PACKET_SIZE bytes; NULL if all are in flight. */
unsigned char *flight_room(struct flight *flight);

/*
 * Add the packet in the buffer that flight_room() last returned. Among packets due at the same
 * time, the one added first arrives first.
 */
void flight_add(struct flight *flight, size_t size, uint64_t due_ns);

/* The packet that arrives first; false if none is in flight. */
bool flight_first(const struct flight *flight, struct flown *first);
void flight_remove_first(struct flight *flight);

#endif
