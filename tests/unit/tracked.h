/* SPDX-License-Identifier: MIT */
/*
 * Connections of the helper's model, created by hand.
 */
#ifndef SOCKTUNE_TESTS_TRACKED_H
#define SOCKTUNE_TESTS_TRACKED_H

#include "connections.h"
#include "policy.h"

/* A start that tests modify: 127.0.0.1:40000 to 10.0.0.1:443. */
struct connection_start tracked_start(const char *program, const char *rule, uint64_t cookie);

/* Open the connection, and give it a sample with these fields of TCP_INFO: name, number, ...,
 * NULL. */
struct connection *tracked(struct connections *all, const struct connection_start *start);
void tracked_sample(struct connections *all, struct connection *connection, ...);

/* Like tracked_sample(), but with the last figures of a close. */
void tracked_close(struct connections *all, struct connection *connection, ...);

#endif
