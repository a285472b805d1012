/* SPDX-License-Identifier: MIT */
/*
 * Checks whether memory that the program passes to a call can be read.
 */
#ifndef SOCKTUNE_READABLE_H
#define SOCKTUNE_READABLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True if `size` bytes at `pointer`, which the program passes to a call on `fd`, can be read. For
 * an invalid pointer the kernel returns EFAULT, but a hook that read it would crash. So a hook that
 * needs the data asks here first, and leaves all other cases to the kernel. Memory that another
 * thread unmaps meanwhile is not considered.
 *
 * Memory on the caller's own stack costs no system call. Other memory costs one setsockopt(), or
 * two if the bytes are on two pages; twice as many for an MPTCP socket. False if `fd` is no socket.
 * Keeps errno. Async-signal-safe.
 */
bool readable_memory(int fd, const void *pointer, size_t size);

/*
 * The same for connect(), by a call that also finds whether `fd` is a plain TCP socket. `*is_tcp`
 * is false if that was not asked. With `ask` it is always asked, even for memory on the stack. One
 * or two further calls for sockets that are not TCP.
 */
bool readable_at_connect(int fd, const void *pointer, size_t size, bool ask, bool *is_tcp);

/* True if all bytes are on the caller's own stack, so that they can be read. Makes no system
 * call. */
bool readable_on_stack(const void *pointer, size_t size);

#endif
