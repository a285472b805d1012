/* SPDX-License-Identifier: MIT */
/*
 * Reads options from a socket, and restores them. Only makes system calls, so that a duplicate of
 * another program's socket is not held longer than necessary.
 */
#ifndef SOCKTUNE_READ_OPTION_H
#define SOCKTUNE_READ_OPTION_H

#include "kernel_socket.h"
#include "option.h"
#include "sockinfo.h"
#include "value.h"

/* True if the option applies to such a socket and can be read. Pure. */
bool option_concerns(const struct option *row, const struct sockinfo *sockinfo);

/*
 * Read an option's current value; false if it cannot be read. `row` may be NULL. `unset` is true
 * for a buffer whose size was never set, so that the kernel tunes it.
 */
bool read_option(const struct socket_handle *socket, int level, int optname,
                 const struct option *row, struct value *value, bool *unset);

/*
 * Restore the `value` and `unset` that read_option() returned. A buffer is set to half the value,
 * since the kernel doubles it; if it was unset, autotuning is enabled again. Returns 0, or -1 with
 * errno.
 */
int restore_option(int fd, int level, int optname, const struct value *value, bool unset);

/* Returns the option by which getsockopt() reads an option; it differs for SO_*BUFFORCE. Pure. */
int option_reads(int level, int optname);

#endif
