/* SPDX-License-Identifier: MIT */
/*
 * System calls that the object makes for itself. They are neither interposed nor cancellation
 * points. They set errno; the hooks restore it.
 */
#ifndef SOCKTUNE_KERNEL_H
#define SOCKTUNE_KERNEL_H

#include "call.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static inline int kernel_setsockopt(int fd, int level, int optname, const void *value,
                                    socklen_t length)
{
    return (int)kernel_call(SYS_setsockopt, fd, level, optname, value, length);
}

static inline int kernel_getsockopt(int fd, int level, int optname, void *value, socklen_t *length)
{
    return (int)kernel_call(SYS_getsockopt, fd, level, optname, value, length);
}

/* Returns the value of an int option, or -1. */
static inline int kernel_get_int(int fd, int level, int optname)
{
    int value = -1;
    socklen_t length = sizeof value;
    return kernel_getsockopt(fd, level, optname, &value, &length) == 0 ? value : -1;
}

/* Returns SO_COOKIE or SO_NETNS_COOKIE, which are never 0; 0 if there is none or the kernel does
 * not support it. */
static inline uint64_t kernel_get_cookie(int fd, int optname)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    return kernel_getsockopt(fd, SOL_SOCKET, optname, &cookie, &length) == 0 ? cookie : 0;
}

static inline int kernel_open(const char *path, int flags)
{
    return (int)kernel_call(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

/* Writes without raising a signal that would end the program: SIGPIPE for a pipe without a reader,
 * SIGXFSZ for a file that has reached RLIMIT_FSIZE. A signal that was pending before stays
 * pending. */
static inline void kernel_write(int fd, const void *buffer, size_t size)
{
    const uint64_t signals = (uint64_t)1 << (SIGPIPE - 1) | (uint64_t)1 << (SIGXFSZ - 1);
    const struct {
        long seconds, nanoseconds;
    } at_once = {0, 0};
    uint64_t mask, before = 0, raised = 0;
    kernel_call(SYS_rt_sigprocmask, SIG_BLOCK, &signals, &mask, sizeof mask);
    kernel_call(SYS_rt_sigpending, &before, sizeof before);
    kernel_call(SYS_write, fd, buffer, size);
    kernel_call(SYS_rt_sigpending, &raised, sizeof raised);
    raised &= signals & ~before;
    if (raised != 0)
        kernel_call(SYS_rt_sigtimedwait, &raised, NULL, &at_once, sizeof raised);
    kernel_call(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

static inline void kernel_close(int fd)
{
    kernel_call(SYS_close, fd);
}

/* statx(2) has the same layout on every architecture. `path` "" with AT_EMPTY_PATH in `flags` means
 * `fd`. */
static inline int kernel_statx(int fd, const char *path, int flags, struct statx *status)
{
    return (int)kernel_call(SYS_statx, fd, path, flags, STATX_BASIC_STATS, status);
}

/* Returns the device as in st_dev. makedev(3) is a libc function if the compiler does not inline
 * it. */
static inline uint64_t statx_device(const struct statx *file)
{
    uint64_t major = file->stx_dev_major, minor = file->stx_dev_minor;
    return (major & 0xfff) << 8 | (major & ~0xfffull) << 32 | (minor & 0xff) |
           (minor & ~0xffull) << 12;
}

/* mmap(2) with offset 0. s390x reads the six arguments from memory; 32-bit machines count the
 * offset in pages. */
static inline long kernel_mmap(void *at, size_t size, int protection, int flags, int fd)
{
#if defined(__s390x__)
    const unsigned long arguments[] = {(unsigned long)at,         size,
                                       (unsigned long)protection, (unsigned long)flags,
                                       (unsigned long)fd,         0};
    return kernel_call(SYS_mmap, arguments);
#elif defined(SYS_mmap2)
    return kernel_call(SYS_mmap2, at, size, protection, flags, fd, 0L);
#else
    return kernel_call(SYS_mmap, at, size, protection, flags, fd, 0L);
#endif
}

/* fork(2) by the bare system call. The child sends `signal` when it exits; 0: no signal. */
static inline int kernel_fork(long signal)
{
#if defined(__s390x__)
    return (int)kernel_call(SYS_clone, 0L, signal, 0L, 0L, 0L);
#else
    return (int)kernel_call(SYS_clone, signal, 0L, 0L, 0L, 0L);
#endif
}

/* Maps `size` bytes of private zeroed memory; NULL on failure. Not MAP_POPULATE: by measurement it
 * costs a program start 4 to 8 us more than the page faults that it saves. */
static inline void *kernel_map(size_t size)
{
    long at = kernel_mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    return at == -1 ? NULL : (void *)at;
}

/* Maps the first `size` bytes of a file, shared: anywhere, or in place of what is mapped at `at`.
 * NULL on failure. */
static inline void *kernel_map_shared(void *at, size_t size, int fd)
{
    long mapped = kernel_mmap(at, size, PROT_READ | PROT_WRITE,
                              MAP_SHARED | (at != NULL ? MAP_FIXED : 0), fd);
    return mapped == -1 ? NULL : (void *)mapped;
}

#endif
