/* SPDX-License-Identifier: MIT */
/*
 * syscall(): passes every call on. A program may use it to install a seccomp filter without
 * prctl(3), or to enter another network namespace without setns(3). It is declared with six
 * arguments, like libc's own function, so that the compiler makes a tail jump: a child that a raw
 * clone or vfork creates returns from here as from libc's function.
 */
#include "confined.h"
#include "own_netns.h"
#include "real.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

long hook_syscall(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");

/* noinline: all other calls cost a comparison and a jump. */
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
