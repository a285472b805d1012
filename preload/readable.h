/* SPDX-License-Identifier: MIT */
/*
 * Memory that the program passes to a call: can it be read?
 */
#ifndef SOCKTUNE_READABLE_H
#define SOCKTUNE_READABLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True if `size` bytes at `pointer`, which the program passes to a call on `fd`, can be read. The
 * kernel answers a pointer into memory that is not there with EFAULT; a hook that read it would
 * crash. So a hook that needs what is there asks here first, and leaves everything else to the
 * kernel. Memory that another thread unmaps meanwhile is not considered.
 *
 * Costs no system call for memory on the caller's own stack, else a setsockopt(), or two where the
 * bytes lie on two pages, and twice as many for a socket of MPTCP. False where `fd` is no socket.
 * Keeps errno. Async-signal-safe.
 */
bool readable_memory(int fd, const void *pointer, size_t size);

/*
 * The same for connect(), with a call that also tells whether `fd` is a socket of plain TCP:
 * `*is_tcp`, false where that has not been asked. Where `ask` is set it is asked in any case, also
 * for memory on the stack. Another call or two for what is not TCP.
 */
bool readable_at_connect(int fd, const void *pointer, size_t size, bool ask, bool *is_tcp);

/* Does all of it lie on the caller's own stack? Then it can be read. Makes no system call. */
bool readable_on_stack(const void *pointer, size_t size);

#endif
