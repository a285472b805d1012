/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: setsockopt() of an option that can only be read, SO_TYPE, copies an int from
 * the caller and then refuses the option (net/core/sock.c): EFAULT tells that there is no memory.
 * A seccomp filter that lets a program set options lets this pass, too. An MPTCP socket refuses the
 * option without a look at the memory. Then rt_sigprocmask() is asked, which copies the new mask
 * before it finds that there is no such operation (kernel/signal.c).
 */
#include "readable.h"

#include "confined.h"
#include "kernel.h"

#include <errno.h>

/* So close above the stack pointer lie the frames of the callers. No pointer that is wrong points
 * there. */
#define STACK_NEAR 4096u
/* Pages may be larger: then the second look is superfluous. */
#define PAGE_SMALLEST ((uintptr_t)4096)
#define MASK_BYTES    8u /* of the kernel's sigset_t */
#define NO_OPERATION  (-1L)

/* `at` is a multiple of 8, so that the bytes lie on one page. */
static bool is_mapped(int fd, uintptr_t at)
{
    if (kernel_call(SYS_setsockopt, fd, SOL_SOCKET, SO_TYPE, at, sizeof(int)) == 0 ||
        errno == ENOPROTOOPT)
        return true;
    if (errno != EOPNOTSUPP || confined_now())
        return errno == EOPNOTSUPP;
    kernel_call(SYS_rt_sigprocmask, NO_OPERATION, at, 0L, (long)MASK_BYTES);
    return errno != EFAULT;
}

bool readable_memory(int fd, const void *pointer, size_t size)
{
    const uintptr_t first = (uintptr_t)pointer, last = first + size - 1;
    const uintptr_t stack = (uintptr_t)__builtin_frame_address(0);
    const uintptr_t word = ~(uintptr_t)(MASK_BYTES - 1);
    if (first < PAGE_SMALLEST || size == 0 || last < first)
        return false;
    if (first > stack && last - stack < STACK_NEAR)
        return true;
    int saved = errno;
    bool readable = is_mapped(fd, first & word) &&
                    (first / PAGE_SMALLEST == last / PAGE_SMALLEST || is_mapped(fd, last & word));
    errno = saved;
    return readable;
}
