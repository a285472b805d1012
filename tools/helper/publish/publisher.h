/* SPDX-License-Identifier: MIT */
/*
 * New rules for running programs: decides which program gets which policy, and when.
 *
 * A program that takes new rules registers with the path of its rules and the checksum of its
 * policy (preload/wire/registration.h). All programs of one user with the same names and path share
 * a *rule set*. The user's rule watcher reports the current policy of a rule set. It is written
 * into the memory of each program that has another policy (preload/wire/published.h).
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

/* What a program that takes new rules sends about itself. Strings are copied. */
struct publisher_client {
    pid_t pid; /* in the helper's pid namespace */
    uid_t uid;
    gid_t gid;
    const char *executable; /* name of its file, without the directory */
    const char *program;    /* name in argv[0] */
    const char *path;       /* of its rules */
    uint64_t device, inode; /* of that path */
    uint64_t checksum;      /* of the policy in force */
    int fd;        /* of its memory; stays the caller's, and must be open until publisher_leave() */
    size_t offset; /* of struct published in that memory */
    uint32_t room; /* maximum bytes of a policy */
};

/* NULL if there is no memory. */
struct publisher *publisher_new(struct loop *loop);
void publisher_free(struct publisher *publisher);

/* Add a program. NULL if there is no memory. */
struct published_program *publisher_join(struct publisher *publisher,
                                         const struct publisher_client *client);
/* NULL does nothing. */
void publisher_leave(struct publisher *publisher, struct published_program *program);

/* The state of the rules of a program that takes new ones. */
enum publishing {
    PUBLISHING_CURRENT,   /* it has the current rules */
    PUBLISHING_WAITING,   /* they are published; it takes them at its next socket call */
    PUBLISHING_REFUSED,   /* they are published, but it refused them */
    PUBLISHING_BROKEN,    /* the rules have an error: it keeps its former rules */
    PUBLISHING_ELSEWHERE, /* its path leads to other files for the helper than for the program */
    PUBLISHING_TOO_LARGE, /* its rules do not fit into its memory */
    PUBLISHING_LIMIT,     /* its user has too many rule files or names of programs */
    PUBLISHING_NO_MEMORY, /* no memory to publish them: retried */
    PUBLISHING_UNWATCHED, /* no watcher for its rules: not yet, or it cannot be started */
    PUBLISHING_COUNT
};

/* "current", "waiting", ...; for JSON. */
const char *publishing_name(enum publishing state);

struct publishing_state {
    enum publishing state;
    uint64_t checksum; /* of the program's policy, as far as is known */
    const char *path;  /* path of its rules; not owned */
    const char *error; /* why it does not have the current rules, one line; not owned. "": it has
                          them, or gets them at its next socket call */
};

void publisher_state(const struct published_program *program, struct publishing_state *state);

/* Sums since the start, for metrics. */
struct publisher_counts {
    uint64_t published; /* policies written into programs' memory */
    uint64_t broken;    /* changes that could not be compiled, once per rule set */
};
const struct publisher_counts *publisher_counts(const struct publisher *publisher);

/* Make the watchers of one user, or of all, look at the files now. When publisher_is_busy() is
 * false, their replies have come and new policies have been published. */
void publisher_look(struct publisher *publisher, bool one_user, uid_t uid);
bool publisher_is_busy(const struct publisher *publisher, bool one_user, uid_t uid);

/* Publish to the queued programs, a bounded number of them. */
void publisher_work(struct publisher *publisher);

/* Restart watchers that have ended. Call it once a second. */
void publisher_each_second(struct publisher *publisher);

#endif
