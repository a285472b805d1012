/* SPDX-License-Identifier: MIT */
/*
 * When what is done: the one place that calls both the client table and the poller, so that neither
 * needs the other's timer.
 *
 * - Every POLLER_TICK_NS: read the rings, read what the kernel has told, look at connections.
 * - When the kernel has told something: read the rings first, since a connection's record is there
 *   before the kernel tells of its end; then take what the kernel has told.
 * - Once a second: dumps, heartbeats, connections and processes that are gone.
 */
#ifndef SOCKTUNE_HELPER_SCHEDULE_H
#define SOCKTUNE_HELPER_SCHEDULE_H

#include "helper.h"
#include "poller.h"

struct schedule;

/* Begin; `helper` outlives it. NULL with errno. */
struct schedule *schedule_start(struct helper *helper);
/* NULL does nothing. */
void schedule_stop(struct schedule *schedule);

#endif
