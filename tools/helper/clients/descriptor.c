/* SPDX-License-Identifier: MIT */
#include "descriptor.h"
#include "kernel.h"
#include "report_ring.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Only memory file systems support seals, and their fstat() does not block. */
static bool is_small_memfd(int fd, size_t most)
{
    struct stat status;
    return fcntl(fd, F_GET_SEALS) >= 0 && fstat(fd, &status) == 0 && status.st_size >= 0 &&
           (size_t)status.st_size <= most;
}

bool descriptor_closes_soon(int fd, size_t most)
{
    return kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN) > 0 || fcntl(fd, F_GETPIPE_SZ) > 0 ||
           is_small_memfd(fd, most) || report_ring_is_map(fd);
}
