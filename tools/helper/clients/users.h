/* SPDX-License-Identifier: MIT */
/*
 * The users whose programs are registered or report through BPF, and the resources of each.
 */
#ifndef SOCKTUNE_HELPER_USERS_H
#define SOCKTUNE_HELPER_USERS_H

#include "config.h"
#include "netns_monitor.h"

struct users;

/* NULL if there is no memory. */
struct users *users_new(void);
/* NULL does nothing. */
void users_free(struct users *users);

/* Returns the user, or NULL if unknown. */
struct user_account *users_find(const struct users *users, uid_t uid);

/* Returns the user, adding it if needed. The caller counts its use in `processes` or `groups`. NULL
 * if there is no memory. */
struct user_account *users_enter(struct users *users, uid_t uid);

/* Remove the user if nothing is counted for it any more. */
void users_leave(struct users *users, struct user_account *user);

/* Whether one more connection of the user may be tracked. If not, the reason is counted. */
bool users_admit(const struct conntrack *conntrack, const struct helper_config *config,
                 const struct user_account *user);

#endif
