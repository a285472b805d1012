/* SPDX-License-Identifier: MIT */
#include "descriptor.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST ((size_t)1 << 20)

static int memory_of(off_t size)
{
    int fd = memfd_create("test", 0);
    cr_assert_eq(ftruncate(fd, size), 0);
    return fd;
}

Test(descriptor, sockets_pipes_and_small_memory_close_soon)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    cr_assert(descriptor_closes_soon(ends[0], MOST));
    cr_assert(descriptor_closes_soon(ends[1], MOST));
    cr_assert(descriptor_closes_soon(socket(AF_UNIX, SOCK_STREAM, 0), MOST));
    cr_assert(descriptor_closes_soon(socket(AF_INET, SOCK_DGRAM, 0), MOST));
    cr_assert(descriptor_closes_soon(memory_of(MOST), MOST));
}

Test(descriptor, files_and_large_memory_may_not)
{
    cr_assert_not(descriptor_closes_soon(open("/proc/self/stat", O_RDONLY), MOST));
    cr_assert_not(descriptor_closes_soon(open("/", O_PATH), MOST));
    cr_assert_not(descriptor_closes_soon(memory_of(MOST + 1), MOST));
    cr_assert_not(descriptor_closes_soon(-1, MOST));
}
