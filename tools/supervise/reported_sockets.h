/* SPDX-License-Identifier: MIT */
/*
 * The sockets of supervised programs that are to be reported, and when each of them is. Makes no
 * system calls: the kernel's answers come from sock_diag, and records go to a function. Not
 * thread-safe.
 */
#ifndef SOCKTUNE_REPORTED_SOCKETS_H
#define SOCKTUNE_REPORTED_SOCKETS_H

#include "ring.h"
#include "sock_diag.h"
#include "sockinfo.h"

#include <sys/types.h>
#include <uthash.h>

struct target_reporter;

/* A socket that is, or may become, one to report. */
struct socket_entry {
    uint64_t cookie;
    uint64_t netns;
    uint64_t when; /* CLOCK_REALTIME ns, of the call */
    struct target_reporter *reporter;
    struct sockinfo sockinfo;
    uint32_t interface;
    pid_t pid;
    enum record_kind kind;
    bool adopted; /* it was open before its program could report it: RECORD_ADOPTED */
    bool reported;
    unsigned dump; /* the last one that found it */
    UT_hash_handle hh;
    struct socket_entry *prev, *next; /* listeners alone */
};

/* Set `put` and `clock` to begin; all else is zero. */
struct reported_sockets {
    void (*put)(const struct socket_entry *entry); /* writes its record */
    uint64_t (*clock)(void);                       /* CLOCK_REALTIME ns */
    struct socket_entry *sockets;                  /* by cookie */
    struct socket_entry *listeners;                /* of those */
    size_t expected;                               /* of those: not reported yet */
    unsigned dumps;                                /* begun so far */
    bool finishing;                                /* nobody has a socket open any more */
};

/* A call is about to open a socket like this one: add it, in place of an entry that has its cookie
 * (a second connect()). NULL without memory. */
struct socket_entry *reported_sockets_add(struct reported_sockets *table,
                                          const struct socket_entry *like);

/* Is there a socket of this cookie that is reported already? */
bool reported_sockets_has(const struct reported_sockets *table, uint64_t cookie);

/* Take what sock_diag says about a socket: it was found by a dump, or destroyed. `context` is the
 * table. */
void reported_sockets_take(void *context, const struct sock_diag_answer *answer);

/* A dump has ended: forget what it did not find. */
void reported_sockets_forget_lost(struct reported_sockets *table);

#endif
