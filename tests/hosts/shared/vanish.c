/* SPDX-License-Identifier: MIT */
/*
 * Another library to preload: its socket() ends the calling thread, unless that is the main thread,
 * so a hook in front of it never returns.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int socket(int domain, int type, int protocol)
{
    if (syscall(SYS_gettid) != getpid())
        syscall(SYS_exit, 0);
    return (int)syscall(SYS_socket, domain, type, protocol);
}
