/* SPDX-License-Identifier: MIT */
/*
 * Finds the type of a received descriptor by calls that never block.
 */
#ifndef SOCKTUNE_HELPER_DESCRIPTOR_H
#define SOCKTUNE_HELPER_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True if close() of the descriptor returns soon. It does for sockets (deferred_close.h interrupts
 * a lingering one), pipes, and memfds of up to `most` bytes. It may not for a file: the server of a
 * FUSE or network file system may never answer, and no signal ends the wait; nor for a large memfd,
 * whose memory takes long to free. fstat() would block for such files, too.
 */
bool descriptor_closes_soon(int fd, size_t most);

#endif
