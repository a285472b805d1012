/* SPDX-License-Identifier: MIT */
/*
 * The users whose programs are registered or report through BPF, and what each of them takes.
 */
#ifndef SOCKTUNE_HELPER_USERS_H
#define SOCKTUNE_HELPER_USERS_H

#include "config.h"
#include "netns_monitor.h"

struct users;

/* NULL without memory. */
struct users *users_new(void);
/* NULL does nothing. */
void users_free(struct users *users);

/* The user, if known; NULL. */
struct user_account *users_find(const struct users *users, uid_t uid);

/* The user, known from now on. The caller counts in `processes` or `groups` for what. NULL without
 * memory. */
struct user_account *users_enter(struct users *users, uid_t uid);

/* Forget the user if nothing counts for them any more. */
void users_leave(struct users *users, struct user_account *user);

/* May one more connection of the user be tracked? If not, it is counted why. */
bool users_admit(const struct conntrack *conntrack, const struct helper_config *config,
                 const struct user_account *user);

#endif
