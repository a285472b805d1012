/* SPDX-License-Identifier: MIT */
#include "users.h"

#include <stdlib.h>
#define HASH_NONFATAL_OOM         1
#define uthash_nonfatal_oom(item) ((item)->hh.tbl = NULL)
#include <uthash.h>

struct user_entry {
    UT_hash_handle hh;
    struct user_account user;
};

struct users {
    struct user_entry *first;
};

struct users *users_new(void)
{
    return calloc(1, sizeof(struct users));
}

void users_free(struct users *users)
{
    if (users == NULL)
        return;
    struct user_entry *entry = users->first, *next;
    HASH_CLEAR(hh, users->first);
    for (; entry != NULL; entry = next) {
        next = entry->hh.next;
        free(entry);
    }
    free(users);
}

struct user_account *users_find(const struct users *users, uid_t uid)
{
    struct user_entry *known;
    HASH_FIND(hh, users->first, &uid, sizeof uid, known);
    return known != NULL ? &known->user : NULL;
}

struct user_account *users_enter(struct users *users, uid_t uid)
{
    struct user_account *user = users_find(users, uid);
    if (user != NULL)
        return user;
    struct user_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->user.uid = uid;
    HASH_ADD(hh, users->first, user.uid, sizeof uid, entry);
    if (entry->hh.tbl != NULL)
        return &entry->user;
    free(entry);
    return NULL;
}

void users_leave(struct users *users, struct user_account *user)
{
    struct user_entry *entry;
    if (user->processes > 0 || user->groups > 0)
        return;
    HASH_FIND(hh, users->first, &user->uid, sizeof user->uid, entry);
    if (entry == NULL)
        return;
    HASH_DEL(users->first, entry);
    free(entry);
}

bool users_admit(const struct conntrack *conntrack, const struct helper_config *config,
                 const struct user_account *user)
{
    if (user->connections >= config->user_connections)
        conntrack->counts->dropped[DROP_LIMIT]++;
    else if (!user_account_may_grow(conntrack, user))
        conntrack->counts->dropped[DROP_MEMORY]++;
    else
        return true;
    return false;
}
