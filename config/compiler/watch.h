/* SPDX-License-Identifier: MIT */
/*
 * The rule watcher: see rule_watch.h.
 */
#ifndef SOCKTUNE_COMPILER_WATCH_H
#define SOCKTUNE_COMPILER_WATCH_H

/* Answer requests from a connected SOCK_SEQPACKET socket until its other end is closed. Returns the
 * exit status. */
int watch_rules(int fd);

#endif
