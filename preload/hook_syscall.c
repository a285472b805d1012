/* SPDX-License-Identifier: MIT */
/*
 * syscall(): how a program may install a filter of system calls without prctl(3), and enter another
 * network namespace without setns(3). Nothing of it is altered. It is declared with six arguments,
 * as libc's own function reads them, so that the call goes on by a jump: the child of a system call
 * that makes one returns from here as from libc's.
 */
#include "confined.h"
#include "own_netns.h"
#include "real.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

long hook_syscall(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");

/* Not in line, so that all other calls pass with a comparison and a jump. */
static __attribute__((noinline)) long syscall_noted(long number, long a, long b, long c, long d,
                                                    long e, long f)
{
    if (number == SYS_setns || number == SYS_unshare)
        own_netns_leave();
    else if (number == SYS_seccomp || a == PR_SET_NO_NEW_PRIVS || a == PR_SET_SECCOMP)
        confined_begin();
    return real.syscall(number, a, b, c, d, e, f);
}

__attribute__((visibility("default"))) long hook_syscall(long number, long a, long b, long c,
                                                         long d, long e, long f)
{
    if (__builtin_expect(number == SYS_seccomp || number == SYS_prctl || number == SYS_setns ||
                             number == SYS_unshare,
                         0))
        return syscall_noted(number, a, b, c, d, e, f);
    return real.syscall(number, a, b, c, d, e, f);
}
