/* SPDX-License-Identifier: MIT */
/*
 * Operations on a descriptor of this process, by kernel.h: neither interposed nor cancellation
 * points. Async-signal-safe; they change errno.
 */
#ifndef SOCKTUNE_KERNEL_SOCKET_H
#define SOCKTUNE_KERNEL_SOCKET_H

#include "socket_ops.h"

extern const struct socket_ops kernel_socket_ops;

/* For a process that may have a seccomp filter: these only call getsockopt(), setsockopt(),
 * getsockname(), getpeername(), and bind() if a rule gives a source address. The others fail with
 * EPERM. */
extern const struct socket_ops kernel_confined_ops;

/* A handle for a descriptor, valid in the block that contains it. */
#define KERNEL_SOCKET(number)                                                                      \
    (&(const struct socket_handle){.ops = &kernel_socket_ops, .fd = (number)})

#endif
