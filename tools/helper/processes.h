/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the helper does with the registry (registry.h): fill it, read its rings, age it.
 */
#ifndef SOCKTUNE_HELPER_PROCESSES_H
#define SOCKTUNE_HELPER_PROCESSES_H

#include "helper.h"
#include "registration_parse.h"

/* NULL without memory. */
struct registry *registry_new(struct helper *helper);

/* Tells all programs that nobody reads any more. */
void registry_free(struct registry *registry);

struct registrant {
    pid_t pid; /* as the helper sees it */
    uid_t uid;
    int pidfd; /* -1: not known; becomes the registry's */
};

/*
 * Take a program in. Both descriptors of `fds` ({ring, sock_diag}) and the pidfd are taken over,
 * also on failure. Returns NULL, or a static English phrase that says why not.
 */
const char *registry_add(struct registry *registry, const struct registrant *who,
                         const struct registration_names *names, const int fds[2]);

/* May this user register one more process? */
bool registry_has_room(struct registry *registry, uid_t uid);

/* Take a bounded number of records from each ring. */
void registry_read(struct registry *registry);

/* Tell the writers that somebody reads; let go what is over. Once a second. */
void registry_each_second(struct registry *registry);

#endif
