/* SPDX-License-Identifier: MIT */
/*
 * New rules for running programs: who gets which policy, and when.
 *
 * A program that takes new rules registers with the path of its rules and the checksum of its
 * policy (preload/wire/registration.h). All programs of one user, name and path share a *rule set*.
 * The user's rule watcher says what the policy of a rule set is now; it is put into the memory of
 * each program that has another one (preload/wire/published.h).
 */
#ifndef SOCKTUNE_HELPER_PUBLISHER_H
#define SOCKTUNE_HELPER_PUBLISHER_H

#include "loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct publisher;
struct published_program;

/* What a program that takes new rules has told of itself. Strings are copied. */
struct publisher_client {
    pid_t pid; /* as the helper sees it */
    uid_t uid;
    gid_t gid;
    const char *executable; /* the name of its file, without the directory */
    const char *program;    /* that of argv[0] */
    const char *path;       /* of its rules */
    uint64_t device, inode; /* of that path */
    uint64_t checksum;      /* of the policy in force */
    int fd;        /* of its memory; stays the caller's, and open until publisher_leave() */
    size_t offset; /* of struct published in it */
    uint32_t room; /* bytes of a policy that it takes */
};

/* NULL without memory. */
struct publisher *publisher_new(struct loop *loop);
void publisher_free(struct publisher *publisher);

/* Take a program in. NULL without memory. */
struct published_program *publisher_join(struct publisher *publisher,
                                         const struct publisher_client *client);
/* NULL does nothing. */
void publisher_leave(struct publisher *publisher, struct published_program *program);

/* How it stands with the rules of a program that takes new ones. */
enum publishing {
    PUBLISHING_CURRENT,   /* it has the rules as they are */
    PUBLISHING_WAITING,   /* it was given them, and takes them with its next socket call */
    PUBLISHING_REFUSED,   /* it was given them, and does not take them */
    PUBLISHING_BROKEN,    /* the rules have an error: it keeps those that it has */
    PUBLISHING_ELSEWHERE, /* its path leads to other files here than where it runs */
    PUBLISHING_TOO_LARGE, /* its rules do not fit into its memory */
    PUBLISHING_LIMIT,     /* its user has too many rule files or names of programs */
    PUBLISHING_NO_MEMORY, /* there was no memory to give them to it: it is tried again */
    PUBLISHING_UNWATCHED, /* nothing watches its rules: not yet, or that cannot be started */
    PUBLISHING_COUNT
};

/* "current", "waiting", for JSON. */
const char *publishing_name(enum publishing state);

struct publishing_state {
    enum publishing state;
    uint64_t checksum; /* of the policy that the program has, as far as is known */
    const char *path;  /* of its rules; borrowed */
    const char *error; /* why it does not have the rules as they are, one line; borrowed. "": it
                          has, or will with its next socket call */
};

void publisher_state(const struct published_program *program, struct publishing_state *state);

/* Sums since the start, for metrics. */
struct publisher_counts {
    uint64_t published; /* policies put into programs' memory */
    uint64_t broken;    /* changes that could not be compiled, a rule set each */
};
const struct publisher_counts *publisher_counts(const struct publisher *publisher);

/* Let the watchers of one user, or of all, look at the files at once. Their answers, and what
 * follows from them, are done when publisher_is_busy() is false. */
void publisher_look(struct publisher *publisher, bool one_user, uid_t uid);
bool publisher_is_busy(const struct publisher *publisher, bool one_user, uid_t uid);

/* Put into programs' memory what waits for it: a bounded number of them. */
void publisher_work(struct publisher *publisher);

/* Restart watchers that have ended; once a second. */
void publisher_each_second(struct publisher *publisher);

#endif
