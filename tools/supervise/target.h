/* SPDX-License-Identifier: MIT */
/*
 * The thread that made a notified call: its memory, its descriptors, and which rules are for its
 * program.
 *
 * A thread is known again by two things, each of which no other thread or program can have: a
 * pidfd, which stops answering when the thread has ended, so that a number used again is noticed;
 * and the 16 random bytes that the kernel lays onto the stack at every execve() (AT_RANDOM of
 * getauxval(3)), at a random address, so that a program that has replaced itself by another is
 * noticed. The bytes are read in the same system call as what the call is about.
 */
#ifndef SOCKTUNE_SUPERVISE_PEER_H
#define SOCKTUNE_SUPERVISE_PEER_H

#include "apply.h"
#include "supervise_report.h"

#include <sys/types.h>

#define RANDOM_BYTES 16u
#define PEERS_MAX    64u /* threads that a worker remembers; a power of two */

/* What all peers are looked at by; the same for all threads of the supervisor. */
struct guide {
    const struct policy *policy;
    const struct default_value *fresh; /* of sockets as the kernel makes them */
};

struct peer {
    pid_t tid; /* 0: nobody */
    pid_t pid;
    int pidfd;
    uint64_t random_at;
    uint8_t random[RANDOM_BYTES];
    char name[64]; /* of the program, for messages */
    struct active active;
    struct default_value *defaults; /* for `default` after socket(); NULL where no rule asks */
    unsigned phases;                /* union of the active rules' phases, PHASE_BIT()s */
    unsigned families;              /* and of the families they are for */
    struct reporter *reporter;      /* NULL: nothing of it is reported */
    unsigned reports;               /* else: the roles of what is, enum role_bit */
};

/* The peers of one worker, so that no lock is needed. Zero it to begin. */
struct peers {
    struct peer slots[PEERS_MAX];
};

/* What went wrong: `errno` of the step that failed. */
enum peer_step { PEER_OK, PEER_GONE, PEER_REFUSED };

/*
 * Find the peer of a call, and read `size` bytes of its memory at `address` into `buffer` at the
 * same time, as one reading; with size 0, nothing. What is not
 * mapped there leaves `*got` at 0, which is no error here. Returns PEER_OK with `*peer`, valid
 * until the next call; PEER_GONE when it ended or does not stay the same; PEER_REFUSED with errno.
 */
enum peer_step peer_find(struct peers *peers, const struct guide *guide, pid_t tid,
                         uint64_t address, void *buffer, size_t size, size_t *got,
                         struct peer **peer);

/* A duplicate of the peer's descriptor, to be closed at once; -1 with errno. */
int peer_borrow(const struct peer *peer, int fd);

/* For struct guide, in the network namespace of this thread; malloc()ed. NULL with errno. */
struct default_value *fresh_defaults(const struct policy *policy);

#endif
