/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the helper does with the registry (registry.h): fill it, read its rings, age it.
 */
#ifndef SOCKTUNE_HELPER_PROCESSES_H
#define SOCKTUNE_HELPER_PROCESSES_H

#include "handoff.h"
#include "helper.h"
#include "registration_parse.h"

/* NULL without memory. */
struct registry *registry_new(struct helper *helper);

/* Tells all programs that nobody reads any more. */
void registry_free(struct registry *registry);

struct registrant {
    pid_t pid; /* as the helper sees it */
    uid_t uid;
    int pidfd;      /* -1: not known; becomes the registry's */
    uint64_t netns; /* the network namespace that it is in, where it passed no sock_diag socket */
};

/*
 * Take a program in. Both descriptors of `fds` ({ring, sock_diag, or -1}) and the pidfd are taken
 * over, also on failure. Returns NULL, or a static English phrase that says why not.
 */
const char *registry_add(struct registry *registry, const struct registrant *who,
                         const struct registration_names *names, const int fds[2]);

/*
 * What was read of a connection that a process of `uid` handed over. Records come first: what its
 * ring holds is read. Returns NULL, or a static English phrase that says what is wrong.
 */
const char *registry_hand(struct registry *registry, uid_t uid, const struct handoff *handoff,
                          const struct handed *handed);

/* The connection that this message tells of is closed again, read or not: another may come. */
void registry_handed(struct registry *registry, uid_t uid, const struct handoff *handoff);

/* May this user register one more process? */
bool registry_has_room(struct registry *registry, uid_t uid);

/* Take a bounded number of records from each ring. */
void registry_read(struct registry *registry);

/* Tell the writers that somebody reads; let go what is over. Once a second. */
void registry_each_second(struct registry *registry);

#endif
