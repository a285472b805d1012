/* SPDX-License-Identifier: MIT */
/*
 * What kind of thing a descriptor is that somebody passed, found out by calls that never block.
 */
#ifndef SOCKTUNE_HELPER_DESCRIPTOR_H
#define SOCKTUNE_HELPER_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Can close() of it be relied on to return soon? It can for sockets (a lingering one is woken, see
 * deferred_close.h), pipes, and memfds of up to `most` bytes. It cannot for a file: the server of a
 * FUSE or network file system may never answer, and no signal ends the waiting; nor for a large
 * memfd, whose memory takes long to be freed. fstat() would block for such files, too.
 */
bool descriptor_closes_soon(int fd, size_t most);

#endif
