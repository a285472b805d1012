/* SPDX-License-Identifier: MIT */
/*
 * The clients: the processes that registered, their rings and their users.
 *
 * A process passes its ring and a sock_diag socket of its network namespace, and hangs up. Its
 * children share the ring, so it is read on after the process's end; when no record came for a
 * while and none of its connections is left, the ring is let go, and told so, and a child that
 * still lives registers anew with its next connection.
 *
 * The table enters connections through the poller. Nothing below calls it.
 */
#ifndef SOCKTUNE_HELPER_CLIENT_TABLE_H
#define SOCKTUNE_HELPER_CLIENT_TABLE_H

#include "config.h"
#include "counts.h"
#include "handoff.h"
#include "loop.h"
#include "poller.h"
#include "publisher.h"
#include "registration_parse.h"
#include "users.h"

struct client_table;

/* A process that writes to the ring of another, which registered: its parent, mostly. */
struct client_child {
    pid_t pid;      /* by the program's own word */
    uint64_t since; /* its first record; CLOCK_MONOTONIC ns */
    uint64_t records;
};
#define CLIENT_CHILDREN_MAX 256u

/* A registered process. Read only for others. Valid until control returns to the loop. */
struct client {
    pid_t pid;
    uid_t uid;
    const char *program;
    const char *const *rules;
    size_t rule_count;
    uint64_t registered; /* CLOCK_MONOTONIC ns */
    uint64_t records;    /* taken from the ring */
    uint64_t handed;     /* connections that it handed over, and that were read */
    uint64_t withheld;   /* connections that it could not hand over, by its own count */
    uint64_t dropped;    /* of DROP_RING_FULL, _ABANDONED, _MALFORMED, _FOREIGN, _LIMIT */
    const struct published_program *published; /* NULL: it does not take new rules */
    bool ended; /* the process is gone or has registered anew; its children may go on */
    const struct client_child *children; /* child_count of them; those beyond the most are not */
    size_t child_count;
};

/* What the table works with. All outlive it. */
struct client_table_parts {
    struct loop *loop; /* for the ends of processes; NULL: they are not watched */
    const struct conntrack *conntrack;
    struct poller *poller;
    const struct helper_config *config; /* limits, and classes of peers; may change */
    struct trials *trials;              /* that programs take part in; NULL: none */
    struct users *users;
    struct publisher *publisher; /* of new rules; NULL: none */
};

/* NULL without memory. */
struct client_table *client_table_new(const struct client_table_parts *parts);

/* Tells all programs that nobody reads any more. NULL does nothing. */
void client_table_free(struct client_table *table);

/* Clients one after the other: begin with *cursor 0. NULL: the end. */
const struct client *client_table_next(const struct client_table *table, uint64_t *cursor);

size_t client_table_count(const struct client_table *table);

/* Who registers. */
struct client_identity {
    pid_t pid; /* as the helper sees it */
    uid_t uid;
    gid_t gid;
    int pidfd;      /* -1: not known; becomes the table's */
    uint64_t netns; /* the network namespace that it is in, where it passed no sock_diag socket */
};

/*
 * Take a program in. Both descriptors of `fds` ({ring, sock_diag, or -1}) and the pidfd are taken
 * over, also on failure. Returns NULL, or a static English phrase that says why not.
 */
const char *client_table_add(struct client_table *table, const struct client_identity *who,
                             const struct registration_names *names, const int fds[2]);

/*
 * What was read of a connection that a process of `uid` handed over. Records come first: what its
 * ring holds is read. Returns NULL, or a static English phrase that says what is wrong.
 */
const char *client_table_take_handoff(struct client_table *table, uid_t uid,
                                      const struct handoff *handoff,
                                      const struct handoff_reading *reading);

/* Called after closing a handed-over descriptor, read or not; frees one in-flight slot of its
 * ring. */
void client_table_handoff_done(struct client_table *table, uid_t uid,
                               const struct handoff *handoff);

/* May this user register one more process? Returns NULL, or a static English phrase that says why
 * not. */
const char *client_table_no_room(struct client_table *table, uid_t uid);

/* How an option is called that a report names by its numbers. Static text. */
const char *client_option_label(int level, int optname);

/* Take a bounded number of records from each ring. */
void client_table_read(struct client_table *table);

/* Tell the writers that somebody reads; let go what is over. Once a second. */
void client_table_each_second(struct client_table *table);

#endif
