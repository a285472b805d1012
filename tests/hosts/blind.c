/* SPDX-License-Identifier: MIT */
/*
 * Runs a program without NETLINK_SOCK_DIAG: blind ERRNO PROGRAM [ARG...]. A tracer makes each
 * socket(AF_NETLINK) fail with that error, like a kernel without sock_diag. A seccomp filter could
 * do the same, but a program that starts under a filter reports nothing at all.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
              PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC
};
enum { SYSCALL_STOP = SIGTRAP | 0x80 };

#if defined __x86_64__
#define CALL(registers)     ((registers)->orig_rax)
#define ARGUMENT(registers) ((registers)->rdi)
#define RESULT(registers)   ((registers)->rax)
#elif defined __aarch64__
#define CALL(registers)     ((registers)->regs[8])
#define ARGUMENT(registers) ((registers)->regs[0])
#define RESULT(registers)   ((registers)->regs[0])
#endif

/* ptrace() with a number as its data; libc's function takes a pointer. */
static long trace_request(long request, pid_t thread, long data)
{
    return syscall(SYS_ptrace, request, thread, 0L, data);
}

/* If the thread is about to call socket(AF_NETLINK), let the call fail with `error`. */
static void refuse(pid_t thread, int error)
{
#ifdef CALL
    struct user_regs_struct registers;
    struct iovec place = {&registers, sizeof registers};
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0 ||
        ptrace(PTRACE_GETREGSET, thread, 1 /* NT_PRSTATUS */, &place) != 0)
        return;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || info.entry.nr != SYS_socket ||
        (int)info.entry.args[0] != AF_NETLINK)
        return;
    /* The call fails because of an unknown family; then its error is replaced. */
    ARGUMENT(&registers) = (unsigned)-1;
    ptrace(PTRACE_SETREGSET, thread, 1, &place);
    ptrace(PTRACE_SYSCALL, thread, NULL, NULL);
    waitpid(thread, NULL, __WALL);
    ptrace(PTRACE_GETREGSET, thread, 1, &place);
    RESULT(&registers) = (unsigned long)-error;
    ptrace(PTRACE_SETREGSET, thread, 1, &place);
#endif
}

static void trace(int error)
{
    int status;
    pid_t thread;
    while ((thread = waitpid(-1, &status, __WALL)) > 0) {
        int signal = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
        if (!WIFSTOPPED(status))
            continue;
        if (signal == SYSCALL_STOP)
            refuse(thread, error);
        /* Stops for system calls and for ptrace(2) events are not signals for the program. */
        if (signal == SYSCALL_STOP || status >> 16 != 0)
            signal = 0;
        trace_request(PTRACE_SYSCALL, thread, signal);
    }
}

int main(int argc, char **argv)
{
    int ready[2];
    char byte;
    pid_t program = getpid();
#ifndef CALL
    puts("skip: its registers are not known here");
    return 1;
#endif
    if (argc < 3 || pipe(ready) != 0)
        return 1;
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    if (fork() == 0) {
        if (trace_request(PTRACE_SEIZE, program, OPTIONS) != 0) {
            perror("blind");
            _exit(1);
        }
        ptrace(PTRACE_INTERRUPT, program, NULL, NULL);
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        close(ready[0]);
        close(ready[1]);
        trace(atoi(argv[1]));
        _exit(0);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 0)
        return 1;
    close(ready[0]);
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 1;
}
