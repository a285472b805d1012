/* SPDX-License-Identifier: MIT */
/* The addresses that this host has, in the current network namespace. Read at each call. */
#ifndef SOCKTUNE_HOST_ADDRESSES_H
#define SOCKTUNE_HOST_ADDRESSES_H

#include "policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True if an interface has the address: 16 bytes, IPv4 as v4-mapped. All of 127.0.0.0/8 counts.
 * True also if the addresses cannot be read. */
bool host_has_address(const uint8_t address[16]);

/* The same for any address that one of the prefixes includes; exclusions are passed over. */
bool host_has_some(const struct policy_prefix *prefixes, size_t count);

/* 127.0.0.0/8 or ::1. */
bool is_loopback(const uint8_t address[16]);

#endif
