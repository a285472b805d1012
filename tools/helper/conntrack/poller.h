/* SPDX-License-Identifier: MIT */
/*
 * When which connection is looked at.
 *
 * A new connection is looked at soon, so that its owner is known and there is something to show;
 * then each once an interval: by lookups that are spread evenly over it, or, where nearly half of
 * a namespace's sockets are tracked, by a dump. Listeners are always dumped.
 */
#ifndef SOCKTUNE_HELPER_SAMPLER_H
#define SOCKTUNE_HELPER_SAMPLER_H

#include "helper.h"
#include "netns_monitor.h"

/* How often rings are read and samples taken. */
#define SAMPLER_TICK_NS UINT64_C(50000000)

/* NULL with a message logged. */
struct sampler *sampler_new(struct helper *helper);
void sampler_free(struct sampler *sampler);

/* The namespace of a sock_diag socket that a program of `uid` passed; the descriptor becomes the
 * sampler's. -1: it could have none; then one that others have serves, or none. Each must be left
 * again. NULL with a message logged. */
struct space *sampler_join(struct sampler *sampler, int fd, uint64_t netns, uid_t uid);
void sampler_leave(struct sampler *sampler, struct space *space);

/* A record has told of a connection. Returns whether it was taken. */
bool sampler_open(struct sampler *sampler, const struct connection_start *start);

/* Read the rings now. */
void sampler_take_records(struct sampler *sampler);

/* A connection was not found. */
void sampler_misses(struct sampler *sampler);

#endif
