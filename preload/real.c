/* SPDX-License-Identifier: MIT */
/*
 * The table of real functions. Constructors of other libraries may call the hooks before our
 * constructor has run, so the table starts with plain system calls and is never empty. Only the
 * constructor looks up the functions: in a hook, a lookup could take a lock that the caller holds.
 */
#include "real.h"

#include "call.h"
#include "symbols.h"

#include <stdarg.h>
#include <stddef.h>

static int early_socket(int domain, int type, int protocol)
{
    return (int)kernel_call(SYS_socket, domain, type, protocol);
}

static int early_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return (int)kernel_call(SYS_bind, fd, address, length);
}

static int early_listen(int fd, int backlog)
{
    return (int)kernel_call(SYS_listen, fd, backlog);
}

static int early_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    return (int)kernel_call(SYS_accept4, fd, address, length, flags);
}

/* Some architectures (i386) have no accept system call. */
static int early_accept(int fd, struct sockaddr *address, socklen_t *length)
{
    return early_accept4(fd, address, length, 0);
}

static int early_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    return (int)kernel_call(SYS_connect, fd, address, length);
}

static ssize_t early_sendto(int fd, const void *buffer, size_t size, int flags,
                            const struct sockaddr *address, socklen_t length)
{
    return kernel_call(SYS_sendto, fd, buffer, size, flags, address, length);
}

static ssize_t early_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return kernel_call(SYS_sendmsg, fd, message, flags);
}

static int early_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    return (int)kernel_call(SYS_sendmmsg, fd, messages, count, flags);
}

static int early_setsockopt(int fd, int level, int optname, const void *value, socklen_t length)
{
    return (int)kernel_call(SYS_setsockopt, fd, level, optname, value, length);
}

#ifdef __i386__
static int early___setsockopt64(int fd, int level, int optname, const void *value, socklen_t length)
{
    return early_setsockopt(fd, level, optname, value, length);
}
#endif

static int early_prctl(int option, ...)
{
    unsigned long argument[4];
    va_list arguments;
    va_start(arguments, option);
    for (unsigned i = 0; i < 4; i++)
        argument[i] = va_arg(arguments, unsigned long);
    va_end(arguments);
    return (int)kernel_call(SYS_prctl, option, argument[0], argument[1], argument[2], argument[3]);
}

static long early_syscall(long number, ...)
{
    long argument[6];
    va_list arguments;
    va_start(arguments, number);
    for (unsigned i = 0; i < 6; i++)
        argument[i] = va_arg(arguments, long);
    va_end(arguments);
    return kernel_call(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                       argument[5]);
}

static int early_setns(int fd, int type)
{
    return (int)kernel_call(SYS_setns, fd, type);
}

static int early_unshare(int flags)
{
    return (int)kernel_call(SYS_unshare, flags);
}

int (*real_clock_gettime)(clockid_t clock, struct timespec *time);

struct real real = {
#define HOOK(type, name, parameters) .name = early_##name,
#include "hooks.def"
#undef HOOK
};

/* Rows of hooks.def, for the search by name. */
enum {
#define HOOK(type, name, parameters) SYMBOL_##name,
#include "hooks.def"
#undef HOOK
    SYMBOL_clock_gettime,
    SYMBOL_COUNT
};

void real_find(void)
{
    struct symbol symbols[SYMBOL_COUNT] = {
#define HOOK(type, name, parameters) [SYMBOL_##name] = {#name, NULL},
#include "hooks.def"
#undef HOOK
        [SYMBOL_clock_gettime] = {"clock_gettime", NULL},
    };
    symbols_find(symbols, SYMBOL_COUNT);
/* NOLINTBEGIN(bugprone-macro-parentheses): a type and parameters take no parentheses */
#define HOOK(type, name, parameters)                                                               \
    if (symbols[SYMBOL_##name].address != NULL)                                                    \
        real.name = (type(*) parameters)symbols[SYMBOL_##name].address;
#include "hooks.def"
/* NOLINTEND(bugprone-macro-parentheses) */
#undef HOOK
    real_clock_gettime =
        (int (*)(clockid_t, struct timespec *))symbols[SYMBOL_clock_gettime].address;
}

/* glibc exports pthread_atfork() under another name, with one more argument: the object whose
 * unloading removes the handlers. */
void real_at_fork(void (*before)(void), void (*in_child)(void))
{
    typedef int (*at_fork)(void (*)(void), void (*)(void), void (*)(void), void *);
    struct symbol symbols[] = {{"__register_atfork", NULL}, {"pthread_atfork", NULL}};
    symbols_find(symbols, sizeof symbols / sizeof symbols[0]);
    at_fork call = (at_fork)(symbols[0].address != NULL ? symbols[0].address : symbols[1].address);
    if (call != NULL)
        call(before, NULL, in_child, &real);
}
