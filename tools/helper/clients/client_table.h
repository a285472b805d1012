/* SPDX-License-Identifier: MIT */
/*
 * The clients: the processes that registered, their rings and their users.
 *
 * A process passes its ring and a sock_diag socket of its network namespace, and disconnects. Its
 * children share the ring, so it is read after the process has ended, too. When no record has come
 * for a while and none of its connections is left, the heartbeat is set to 0 and the ring is
 * released. A child that still runs then registers again with its next connection.
 *
 * The table enters connections through the poller. The layers below never call it.
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

/* A process that writes to the ring of another process, mostly its parent. */
struct client_child {
    pid_t pid;      /* claimed by the program */
    uint64_t since; /* its first record; CLOCK_MONOTONIC ns */
    uint64_t records;
};
#define CLIENT_CHILDREN_MAX 256u

/* A registered process. Read-only outside the table. Valid until control returns to the loop. */
struct client {
    pid_t pid;
    uid_t uid;
    const char *program;
    const char *const *rules;
    size_t rule_count;
    uint64_t registered; /* CLOCK_MONOTONIC ns */
    uint64_t records;    /* taken from the ring */
    uint64_t handed;     /* handed-over connections that were read */
    uint64_t withheld;   /* connections that it could not hand over; its own count */
    uint64_t dropped;    /* of DROP_RING_FULL, _ABANDONED, _MALFORMED, _FOREIGN, _LIMIT */
    const struct published_program *published; /* NULL: it takes no new rules */
    bool ended; /* the process ended or registered again; its children may still write */
    const struct client_child *children; /* child_count entries, at most CLIENT_CHILDREN_MAX */
    size_t child_count;
};

/* What the table needs. All of it must outlive the table. */
struct client_table_parts {
    struct loop *loop; /* reports the ends of processes; NULL: they are not watched */
    const struct conntrack *conntrack;
    struct poller *poller;
    const struct helper_config *config; /* limits, and classes of peers; may change */
    struct trials *trials;              /* trials in which programs take part; NULL: none */
    struct users *users;
    struct publisher *publisher; /* publishes new rules; NULL: none */
};

/* NULL if there is no memory. */
struct client_table *client_table_new(const struct client_table_parts *parts);

/* Sets all heartbeats to 0, so that programs know that nobody reads. NULL does nothing. */
void client_table_free(struct client_table *table);

/* Iterate over the clients: start with *cursor 0. NULL at the end. */
const struct client *client_table_next(const struct client_table *table, uint64_t *cursor);

size_t client_table_count(const struct client_table *table);

/* The process that registers. */
struct client_identity {
    pid_t pid; /* in the helper's pid namespace */
    uid_t uid;
    gid_t gid;
    int pidfd;      /* -1: unknown; ownership passes to the table */
    uint64_t netns; /* its network namespace, used if it passed no sock_diag socket */
};

/*
 * Add a program. Takes ownership of both descriptors of `fds` ({ring, sock_diag or -1}) and of the
 * pidfd, even on failure. Returns NULL, or a static English phrase that says why not.
 */
const char *client_table_add(struct client_table *table, const struct client_identity *who,
                             const struct registration_names *names, const int fds[2]);

/*
 * Enter what was read of a connection that a process of `uid` handed over. First reads the ring, so
 * that the connection's record comes first. Returns NULL, or a static English phrase that says what
 * is wrong.
 */
const char *client_table_take_handoff(struct client_table *table, uid_t uid,
                                      const struct handoff *handoff,
                                      const struct handoff_reading *reading);

/* Call this after a handed-over descriptor was closed, read or not; frees one in-flight slot of its
 * ring. */
void client_table_handoff_done(struct client_table *table, uid_t uid,
                               const struct handoff *handoff);

/* Whether this user may register one more process. Returns NULL, or a static English phrase that
 * says why not. */
const char *client_table_no_room(struct client_table *table, uid_t uid);

/* The name of an option that a report identifies by numbers. Static text. */
const char *client_option_label(int level, int optname);

/* Read a bounded number of records from each ring. */
void client_table_read(struct client_table *table);

/* Renew the heartbeats, and release ended clients. Call it once a second. */
void client_table_each_second(struct client_table *table);

#endif
