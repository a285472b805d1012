/* SPDX-License-Identifier: MIT */
/*
 * Sockets of other processes: pidfd_getfd(2) duplicates one here, without stopping, tracing or
 * entering the process.
 *
 * A duplicate keeps the connection open: while it exists, the program's close() sends no FIN. So
 * whoever borrows a socket asks it all in one go and closes it, with no output and no allocation in
 * between: microseconds.
 *
 * To borrow takes the permission that ptrace(2) takes (PTRACE_MODE_ATTACH_REALCREDS): the same user
 * and groups and a dumpable process, or CAP_SYS_PTRACE.
 */
#ifndef SOCKTUNE_BORROW_H
#define SOCKTUNE_BORROW_H

#include "process.h"

/* A process from which sockets are borrowed. Close with lender_close(). */
struct lender {
    pid_t pid;
    int pidfd;
    uint64_t network; /* its network namespace, as an inode; 0: not told */
};

/* Returns 0, or -1 with errno: ESRCH when there is no such process, ENOSYS before Linux 5.6. */
int lender_open(pid_t pid, struct lender *lender);

void lender_close(struct lender *lender);

/*
 * A duplicate of a socket of which the process has `count` descriptors, to be closed at once. -1
 * with errno: EBADF when they have been closed meanwhile, or are another socket's by now; ESRCH
 * when the process ended; EPERM when it may not be borrowed. One system call to obtain it, one to
 * see that it is the one meant.
 */
int borrow(const struct lender *lender, const struct open_socket *sockets, size_t count);

/* True for an errno that means that the socket or its process is gone: no error, it just happens.
 */
bool is_gone(int error);

/* What decides about looking into a process: ptrace(2), "Ptrace access mode checking". */
struct refusal {
    int error;        /* errno */
    int ptrace_scope; /* kernel.yama.ptrace_scope; 0 where there is no Yama */
    bool root;        /* we are */
    const char *user; /* who runs it, if that is another one than we are; else NULL */
    bool dumpable;    /* PR_SET_DUMPABLE of prctl(2) */
};

/* The reason, and what would be needed: one line, no full stop. Pure. */
void refusal_reason(const struct refusal *refusal, char *text, size_t size);

/* Why sockets of the process cannot be borrowed, and what would be needed: one line, no full stop.
 * `error` is the errno of borrow(), lender_open() or open_sockets_read(). */
void refusal_text(const struct process *process, int error, char *text, size_t size);

#endif
