/* SPDX-License-Identifier: MIT */
/*
 * System calls, without libc's syscall(2): that is a function like any other, which a program may
 * export under its own meaning and other preloaded libraries interpose (torsocks answers ENOSYS to
 * what it does not know, and is initialized by the first call, long before its time). These are
 * neither interposed nor cancellation points. Async-signal-safe.
 */
#ifndef SOCKTUNE_CALL_H
#define SOCKTUNE_CALL_H

#include <errno.h>
#include <sys/syscall.h>

#if defined(__clang_analyzer__)
/* The analyzer does not see that assembly writes through a pointer. */
long call_kernel(long number, long a, long b, long c, long d, long e, long f);
#elif defined(__x86_64__) && !defined(__ILP32__)
static inline long call_kernel(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__i386__)
/* The sixth argument goes into %ebp, which the compiler does not give away. */
static inline long call_kernel(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    __asm__ volatile("pushl %[f]\n\t"
                     "pushl %%ebp\n\t"
                     "movl 4(%%esp), %%ebp\n\t"
                     "int $0x80\n\t"
                     "popl %%ebp\n\t"
                     "addl $4, %%esp"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e), [f] "m"(f)
                     : "memory", "cc");
    return result;
}
#elif defined(__aarch64__)
static inline long call_kernel(long number, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "write down how system calls are made on this architecture"
#endif

/* As libc's functions answer: -1 and errno. */
static inline long call_result(long result)
{
    if ((unsigned long)result <= -4096UL)
        return result;
    errno = (int)-result;
    return -1;
}

/* kernel_call(number, up to six arguments): integers and pointers alike. */
#define kernel_call(...) KERNEL_CALL(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
#define KERNEL_CALL(number, a, b, c, d, e, f, ...)                                                 \
    call_result(                                                                                   \
        call_kernel((number), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))

#endif
