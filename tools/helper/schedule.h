/* SPDX-License-Identifier: MIT */
/*
 * The schedule: the only place that calls both the client table and the poller, so that neither
 * needs the other's timer.
 *
 * - Every POLLER_TICK_NS: read the rings, read the kernel's messages, sample connections.
 * - When the kernel has messages: read the rings first, since a connection's record is written
 *   before the kernel reports its end; then read the messages.
 * - Once a second: dumps, heartbeats, lost connections and ended processes.
 */
#ifndef SOCKTUNE_HELPER_SCHEDULE_H
#define SOCKTUNE_HELPER_SCHEDULE_H

#include "helper.h"
#include "poller.h"

struct schedule;

/* Start; `helper` must outlive it. NULL with errno. */
struct schedule *schedule_start(struct helper *helper);
/* NULL does nothing. */
void schedule_stop(struct schedule *schedule);

#endif
