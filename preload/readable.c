/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: setsockopt() copies the value from the caller and then refuses it. EFAULT
 * tells that there is no memory. Three options are used for that, and none of these calls changes
 * anything. A seccomp filter that lets a program set options lets them pass.
 *
 * - SO_TYPE can only be read (net/core/sock.c): ENOPROTOOPT. MPTCP refuses it without a look at the
 *   memory: EOPNOTSUPP.
 * - One byte is too short for IP_LOCAL_PORT_RANGE (net/ipv4/ip_sockglue.c), which MPTCP passes on:
 *   EINVAL.
 * - TCP_REPAIR_OPTIONS (net/ipv4/tcp.c) is refused unless the socket is being repaired and its
 *   connection is established: EINVAL or EPERM. No other socket than one of plain TCP answers so.
 *
 * A kernel older than 6.10 does not pass on IP_LOCAL_PORT_RANGE. Then rt_sigprocmask() is asked,
 * which copies the new mask before it finds that there is no such operation (kernel/signal.c). A
 * seccomp filter may forbid that: then the memory is not read.
 */
#include "readable.h"

#include "confined.h"
#include "kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* So close above the stack pointer lie the frames of the callers. No pointer that is wrong points
 * there. */
#define STACK_NEAR 4096u
/* Pages may be larger: then the second look is superfluous. */
#define PAGE_SMALLEST ((uintptr_t)4096)
#define MASK_BYTES    8u /* of the kernel's sigset_t */
#define NO_OPERATION  (-1L)

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51 /* linux/in.h, since Linux 6.3 */
#endif

/* The errno of a setsockopt() that the kernel refuses. */
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

/* `at` is a multiple of 8, so that the bytes lie on one page. */
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

/* Do the bytes end on another page than that on which they begin? */
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
