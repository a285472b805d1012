/* SPDX-License-Identifier: MIT */
/*
 * SOCKTUNE_TRACE: a line for each decision, and the one line that says why a program runs untuned.
 */
#ifndef SOCKTUNE_TRACE_H
#define SOCKTUNE_TRACE_H

#include "apply.h"
#include "state.h"

/* Print one line on standard error that says why the program runs untuned: "socktune: WHAT: WHY;
 * NAME runs untuned", or, if `strict`, that it is not started. `what` may be NULL. Prints nothing
 * if standard error is a socket (the peer of an inetd service would get it), unless it is the
 * journal's. */
void trace_untuned(const char *what, const char *why, bool strict);

/* Note which socket is the journal's. `stream` is JOURNAL_STREAM, or NULL. Only for the
 * constructor. */
void trace_journal(const char *stream);

/* True if lines may be written to standard error. Changes errno. */
bool trace_may_use_stderr(void);

/* Trace how many of the rules at `path` are for this program. Does nothing unless tracing. */
void trace_start(const char *path);

/* Trace the same for new rules. */
void trace_taken(const struct rules_in_force *rules);

/* Trace the result of one action of an application at `phase`; `error` is 0 or the errno. Does
 * nothing unless tracing. */
void trace_action(const struct rules_in_force *rules, const struct application *application,
                  enum phase phase, const struct policy_action *action, enum applied result,
                  int error);

/* Trace trace_line_swallowed(). Does nothing unless tracing. */
void trace_swallowed(const struct rules_in_force *rules, int fd, const struct sockinfo *sockinfo,
                     uint32_t option, uint32_t held);

#endif
