/* SPDX-License-Identifier: MIT */
/*
 * Reading options back from a socket, and restoring them. System calls and nothing else, so that a
 * duplicate of another program's socket is held no longer than that takes.
 */
#ifndef SOCKTUNE_READ_OPTION_H
#define SOCKTUNE_READ_OPTION_H

#include "kernel_socket.h"
#include "option.h"
#include "sockinfo.h"
#include "value.h"

/* Does the option mean something for such a socket, and can it be read? Pure. */
bool option_concerns(const struct option *row, const struct sockinfo *sockinfo);

/*
 * Read an option's current value; false if it cannot be told. `row` may be NULL. `unset` is
 * true for a buffer that nobody has sized, so that the kernel chooses, and alters, its size.
 */
bool read_option(const struct socket_handle *socket, int level, int optname,
                 const struct option *row, struct value *value, bool *unset);

/*
 * Set an option to what read_option() told of it; `unset` as it told that. A buffer is set to half,
 * since the kernel doubles it, and given back to the kernel's own tuning if it was unset. Returns
 * 0, or -1 with errno.
 */
int restore_option(int fd, int level, int optname, const struct value *value, bool unset);

/* The number by which getsockopt() tells an option: another one for a buffer set by force. Pure. */
int option_reads(int level, int optname);

#endif
