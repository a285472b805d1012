/* SPDX-License-Identifier: MIT */
/*
 * Sockets of other processes: pidfd_getfd(2) duplicates one here, without stopping, tracing or
 * entering the process.
 *
 * A duplicate keeps the connection open: while it exists, the program's close() sends no FIN. So
 * the caller asks a duplicate everything in one go and closes it, within microseconds, with no
 * output and no allocation in between.
 *
 * Duplicating takes the permission that ptrace(2) takes (PTRACE_MODE_ATTACH_REALCREDS): the same
 * user and groups and a dumpable process, or CAP_SYS_PTRACE.
 */
#ifndef SOCKTUNE_DUPLICATE_H
#define SOCKTUNE_DUPLICATE_H

#include "process_sockets.h"

/* A process whose sockets are duplicated. Close with socket_owner_close(). */
struct socket_owner {
    pid_t pid;
    int pidfd;
    uint64_t network; /* its network namespace, as an inode; 0: unknown */
};

/* Returns 0, or -1 with errno: ESRCH when there is no such process, ENOSYS before Linux 5.6. */
int socket_owner_open(pid_t pid, struct socket_owner *owner);

void socket_owner_close(struct socket_owner *owner);

/*
 * A duplicate of a socket of which the process has `count` descriptors, to be closed at once. -1
 * with errno: EBADF when they have been closed meanwhile, or are another socket's by now; ESRCH
 * when the process ended; EPERM when it may not be duplicated. One system call to obtain it, one to
 * see that it is the one meant.
 */
int socket_duplicate(const struct socket_owner *owner, const struct open_socket *sockets,
                     size_t count);

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

/* Why sockets of the process cannot be duplicated, and what would be needed: one line, no full
 * stop. `error` is the errno of socket_duplicate(), socket_owner_open() or open_sockets_read(). */
void refusal_text(const struct process *process, int error, char *text, size_t size);

#endif
