/* SPDX-License-Identifier: MIT */
/*
 * Which system calls the supervisor is to be asked about, and the seccomp filter that asks.
 */
#ifndef SOCKTUNE_NOTIFY_FILTER_H
#define SOCKTUNE_NOTIFY_FILTER_H

#include "policy.h"
#include "supervisor.h"

#include <linux/seccomp.h>

/* The calls that can be asked about. */
enum notified {
    NOTIFIED_BIND,
    NOTIFIED_CONNECT,
    NOTIFIED_LISTEN,
    NOTIFIED_SENDTO,     /* only with MSG_FASTOPEN, which connects */
    NOTIFIED_SENDMSG,    /* the same */
    NOTIFIED_SENDMMSG,   /* the same; its first message connects */
    NOTIFIED_SETSOCKOPT, /* only of options that a rule guards or gives to accepted sockets */
    NOTIFIED_EPOLL,      /* epoll_ctl(EPOLL_CTL_ADD): mostly the first call on an accepted socket */
    NOTIFIED_URING,      /* io_uring_setup: to warn */
    NOTIFIED_COUNT
};

/* Which of them a policy needs, whatever the program: it may start others. A Go program sets
 * TCP_NODELAY on each accepted socket, so that its calls of epoll_ctl() need not be notified. */
struct needs {
    bool calls[NOTIFIED_COUNT];
    bool options[POLICY_OPTIONS_MAX]; /* whose setsockopt() is notified */
    bool accepted;                    /* accepted sockets are given something */
    bool unix_sockets;                /* a rule may be for AF_UNIX sockets */
};

void needs_of(const struct policy *policy, const struct program *program, struct needs *needs);

/* True if nothing is to be asked about at all. */
bool needs_nothing(const struct needs *needs);

/*
 * Install the filter in this process, for it and all that it starts; `refuse_uring` answers
 * io_uring_setup with ENOSYS. Returns the descriptor of notifications (close-on-exec), -1 with
 * errno: EBUSY when somebody else is asked already, EACCES when neither privileged nor
 * no_new_privs. With needs_nothing(), returns 0 and there is no descriptor.
 */
int filter_install(const struct policy *policy, const struct needs *needs, bool refuse_uring);

/* A call that was asked about. */
struct notified_call {
    enum notified kind;
    uint64_t arguments[6];
    uint64_t packed; /* where in the caller's memory the arguments are, six of 32 bits; 0: here */
    bool compat;     /* of a 32-bit program: pointers in its memory have 4 bytes */
};

/* "connect", "epoll_ctl" ... */
const char *notified_name(enum notified kind);

/* Find out which call it is. Returns 0, or -1 if the filter does not ask about it. */
int notified_identify(const struct seccomp_data *data, struct notified_call *call);

/* The arguments, read from where `packed` says. */
void notified_unpack(struct notified_call *call, const uint32_t words[6]);

/* False for one that the filter would not have asked about, had it address the arguments. */
bool notified_matters(const struct notified_call *call);

#endif
