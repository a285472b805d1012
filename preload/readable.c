/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: setsockopt() copies the value from the caller before it refuses the option.
 * EFAULT means that the memory is not mapped. Three options serve for this test; none of these
 * calls changes anything. A seccomp filter that allows setsockopt() allows them.
 *
 * - SO_TYPE can only be read (net/core/sock.c): ENOPROTOOPT. MPTCP refuses it without reading the
 *   memory: EOPNOTSUPP.
 * - One byte is too short for IP_LOCAL_PORT_RANGE (net/ipv4/ip_sockglue.c), which MPTCP passes on:
 *   EINVAL.
 * - TCP_REPAIR_OPTIONS (net/ipv4/tcp.c) is refused unless the socket is being repaired and its
 *   connection is established: EINVAL or EPERM. Only a plain TCP socket returns these errors.
 *
 * A kernel older than 6.10 does not pass on IP_LOCAL_PORT_RANGE. Then rt_sigprocmask() is used,
 * which copies the new mask before it finds that the operation is invalid (kernel/signal.c). If a
 * seccomp filter may forbid that, the memory is not read.
 */
#include "readable.h"

#include "confined.h"
#include "kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* The frames of the callers are this close above the stack pointer. No invalid pointer points
 * there. */
#define STACK_NEAR 4096u
/* If pages are larger, the second check is superfluous. */
#define PAGE_SMALLEST ((uintptr_t)4096)
#define MASK_BYTES    8u /* of the kernel's sigset_t */
#define NO_OPERATION  (-1L)

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* linux/in.h, since Linux 6.3 */
#endif

/* Returns the errno of a setsockopt() that the kernel refuses. */
static int errno_of_refusal(int fd, int level, int optname, uintptr_t at, size_t size)
{
    return kernel_call(SYS_setsockopt, fd, level, optname, at, size) == 0 ? 0 : errno;
}

static bool is_mapped_for_mptcp(int fd, uintptr_t at)
{
    int error = errno_of_refusal(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, at, 1);
    if (error == EINVAL || error == EFAULT || confined_now())
        return error == EINVAL;
    kernel_call(SYS_rt_sigprocmask, NO_OPERATION, at, 0L, (long)MASK_BYTES);
    return errno != EFAULT;
}

/* `at` is a multiple of 8, so the bytes are on one page. */
static bool is_mapped_memory(int fd, uintptr_t at)
{
    int error = errno_of_refusal(fd, SOL_SOCKET, SO_TYPE, at, sizeof(int));
    return error == EOPNOTSUPP ? is_mapped_for_mptcp(fd, at) : error == 0 || error == ENOPROTOOPT;
}

static uintptr_t word_of(uintptr_t address)
{
    return address & ~(uintptr_t)(MASK_BYTES - 1);
}

bool readable_on_stack(const void *pointer, size_t size)
{
    const uintptr_t first = (uintptr_t)pointer, last = first + size - 1;
    const uintptr_t stack = (uintptr_t)__builtin_frame_address(0);
    return size != 0 && last >= first && first > stack && last - stack < STACK_NEAR;
}

static bool is_possible(const void *pointer, size_t size)
{
    const uintptr_t first = (uintptr_t)pointer;
    return first >= PAGE_SMALLEST && size != 0 && first + size - 1 >= first;
}

/* True if the bytes span two pages. */
static bool is_on_two_pages(uintptr_t first, uintptr_t last)
{
    return first / PAGE_SMALLEST != last / PAGE_SMALLEST;
}

bool readable_memory(int fd, const void *pointer, size_t size)
{
    const uintptr_t first = (uintptr_t)pointer, last = first + size - 1;
    if (!is_possible(pointer, size))
        return false;
    if (readable_on_stack(pointer, size))
        return true;
    int saved = errno;
    bool readable = is_mapped_memory(fd, word_of(first)) &&
                    (!is_on_two_pages(first, last) || is_mapped_memory(fd, word_of(last)));
    errno = saved;
    return readable;
}

bool readable_at_connect(int fd, const void *pointer, size_t size, bool ask, bool *is_tcp)
{
    const uintptr_t first = (uintptr_t)pointer, last = first + size - 1;
    bool on_stack = readable_on_stack(pointer, size);
    *is_tcp = false;
    if (!is_possible(pointer, size) || (on_stack && !ask))
        return on_stack;
    int saved = errno;
    int error = errno_of_refusal(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, word_of(first), sizeof(int));
    *is_tcp = error == EINVAL || error == EPERM;
    bool readable =
        on_stack || (*is_tcp ? !is_on_two_pages(first, last) || is_mapped_memory(fd, word_of(last))
                             : error != EFAULT && readable_memory(fd, pointer, size));
    errno = saved;
    return readable;
}
