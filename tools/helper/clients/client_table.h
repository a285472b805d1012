/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the helper does with the registry (registry.h): fill it, read its rings, age it.
 */
#ifndef SOCKTUNE_HELPER_CLIENT_TABLE_H
#define SOCKTUNE_HELPER_CLIENT_TABLE_H

#include "handoff.h"
#include "helper.h"
#include "registration_parse.h"

/* NULL without memory. */
struct client_table *client_table_new(struct helper *helper);

/* Tells all programs that nobody reads any more. */
void client_table_free(struct client_table *registry);

struct client_identity {
    pid_t pid; /* as the helper sees it */
    uid_t uid;
    int pidfd;      /* -1: not known; becomes the registry's */
    uint64_t netns; /* the network namespace that it is in, where it passed no sock_diag socket */
};

/*
 * Take a program in. Both descriptors of `fds` ({ring, sock_diag, or -1}) and the pidfd are taken
 * over, also on failure. Returns NULL, or a static English phrase that says why not.
 */
const char *client_table_add(struct client_table *registry, const struct client_identity *who,
                             const struct registration_names *names, const int fds[2]);

/*
 * What was read of a connection that a process of `uid` handed over. Records come first: what its
 * ring holds is read. Returns NULL, or a static English phrase that says what is wrong.
 */
const char *client_table_take_handoff(struct client_table *registry, uid_t uid,
                                      const struct handoff *handoff,
                                      const struct handoff_reading *handed);

/* The connection that this message tells of is closed again, read or not: another may come. */
void client_table_handoff_done(struct client_table *registry, uid_t uid,
                               const struct handoff *handoff);

/* May this user register one more process? */
bool client_table_has_room(struct client_table *registry, uid_t uid);

/* Take a bounded number of records from each ring. */
void client_table_read(struct client_table *registry);

/* Tell the writers that somebody reads; let go what is over. Once a second. */
void client_table_each_second(struct client_table *registry);

#endif
