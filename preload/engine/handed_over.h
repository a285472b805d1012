/* SPDX-License-Identifier: MIT */
/*
 * Which descriptors a program inherits on purpose: standard input, output and error, and those that
 * systemd passes (sd_listen_fds(3)). All others leaked from its parent.
 */
#ifndef SOCKTUNE_HANDED_OVER_H
#define SOCKTUNE_HANDED_OVER_H

/* Returns the number after the last of them, by LISTEN_PID and LISTEN_FDS; at least 3. Pure. */
int handed_over_end(char *const *environment, long pid);

#endif
