/* SPDX-License-Identifier: MIT */
/*
 * SOCKTUNE_TRACE: a line for each decision, and the one line that says why a program runs untuned.
 */
#ifndef SOCKTUNE_TRACE_H
#define SOCKTUNE_TRACE_H

#include "apply.h"
#include "state.h"

/* Say on standard error, in one line, why the program runs untuned: "socktune: WHAT: WHY; NAME runs
 * untuned"; or, if `strict`, that it is not started. `what` may be NULL. Nothing where standard
 * error is a socket: that is the peer's (inetd), unless it is the journal's. */
void trace_untuned(const char *what, const char *why, bool strict);

/* Note which socket is the journal's: JOURNAL_STREAM, or NULL. For the constructor. */
void trace_journal(const char *stream);

/* True if lines may be written to standard error. Changes errno. */
bool trace_may_use_stderr(void);

/* How many rules, of those at `path`, are for this program. Nothing unless tracing. */
void trace_start(const char *path);

/* The same of new rules. */
void trace_taken(const struct rules_in_force *rules);

/* What became of one action of an application at `phase`; `error` is 0 or the errno. Nothing unless
 * tracing. */
void trace_action(const struct rules_in_force *rules, const struct application *application,
                  enum phase phase, const struct policy_action *action, enum applied result,
                  int error);

/* trace_line_swallowed(). Nothing unless tracing. */
void trace_swallowed(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                     uint32_t option, uint32_t held);

#endif
