/* SPDX-License-Identifier: MIT */
/*
 * A program as it is registered with the helper, and its ring. Not thread-safe:
 * connection_reports.c serialises the calls, `socktune apply` has one thread.
 */
#ifndef SOCKTUNE_REPORTER_H
#define SOCKTUNE_REPORTER_H

#include "connection_reports.h"
#include "reported_sockets.h"

/* The reporter of a program with these active rules, made and registered if need be. NULL without
 * memory, or if there are too many. Stays valid. */
struct target_reporter *reporter_find(const struct policy *policy, const char *program,
                                      const struct active *active);

/* Its ring, registered again if that is due; NULL if there is no helper. */
struct ring *reporter_ring(struct target_reporter *reporter);

/* As reporter_moment(). */
void reporter_note_moment(struct target_reporter *reporter, struct sockinfo *sockinfo);

/* Write the record of a socket into the ring of its reporter, if the socket is of the network
 * namespace in which the helper looks for it. */
void reporter_put(const struct socket_entry *entry);

/* The time of records: nanoseconds since 1970. */
uint64_t reporter_clock(void);

/* In a forked child: there are no reporters. */
void reporters_forget(void);

#endif
