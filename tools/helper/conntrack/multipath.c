/* SPDX-License-Identifier: MIT */
/*
 * A hash table by both ends. Listeners may have equal ends; they are distinguished by their
 * cookies, which are unique for listeners.
 */
#include "multipath.h"

#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM         1
#define uthash_nonfatal_oom(item) ((item)->socket.cookie = 0)
#include <uthash.h>

#define MADE_UP (UINT64_C(1) << 63) /* in made-up identities; cookies count from 1 */

/* The hash key: without the family, since the kernel may report another family for a subflow. */
struct multipath_key {
    struct flow flow;
    uint16_t reserved;
    uint64_t listener; /* its cookie; 0 for a connection */
};
_Static_assert(sizeof(struct multipath_key) == 48, "no padding");

struct multipath_entry {
    UT_hash_handle hh;
    struct multipath_key key;
    struct multipath_socket socket;
};

struct multipath {
    struct multipath_entry *table;
};

uint64_t multipath_identity(const struct flow *flow, uint64_t time)
{
    uint64_t words[6] = {time, (uint64_t)flow->local_port << 16 | flow->remote_port};
    uint64_t sum = 0;
    memcpy(words + 2, flow->local, sizeof flow->local);
    memcpy(words + 4, flow->remote, sizeof flow->remote);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        sum = (sum ^ words[i]) * 0xff51afd7ed558ccdu;
        sum ^= sum >> 32;
    }
    return sum | MADE_UP;
}

struct multipath *multipath_new(void)
{
    return calloc(1, sizeof(struct multipath));
}

void multipath_free(struct multipath *all)
{
    struct multipath_entry *entry, *next;
    if (all == NULL)
        return;
    entry = all->table;
    HASH_CLEAR(hh, all->table);
    for (; entry != NULL; entry = next) {
        next = entry->hh.next;
        free(entry);
    }
    free(all);
}

static struct multipath_key key_of(const struct flow *flow, uint64_t cookie)
{
    struct multipath_key key = {.flow = *flow};
    key.flow.family = 0;
    if (flow->remote_port == 0) {
        memset(key.flow.remote, 0, sizeof key.flow.remote);
        key.listener = cookie;
    }
    return key;
}

static struct multipath_entry *find_entry(const struct multipath *all, const struct flow *flow,
                                          uint64_t cookie)
{
    const struct multipath_key key = key_of(flow, cookie);
    struct multipath_entry *entry;
    HASH_FIND(hh, all->table, &key, sizeof key, entry);
    return entry;
}

void multipath_add(struct multipath *all, const struct connection *connection)
{
    struct multipath_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return;
    entry->key = key_of(&connection->flow, connection->cookie);
    entry->socket.cookie = connection->cookie;
    HASH_ADD(hh, all->table, key, sizeof entry->key, entry);
    if (entry->socket.cookie == 0)
        free(entry);
}

void multipath_remove(struct multipath *all, const struct connection *connection)
{
    struct multipath_entry *entry = find_entry(all, &connection->flow, connection->cookie);
    if (entry == NULL || entry->socket.cookie != connection->cookie)
        return;
    HASH_DEL(all->table, entry);
    free(entry);
}

struct multipath_socket *multipath_find(struct multipath *all, const struct flow *flow,
                                        uint64_t cookie)
{
    struct multipath_entry *entry = find_entry(all, flow, cookie);
    return entry != NULL ? &entry->socket : NULL;
}

void multipath_each(struct multipath *all, multipath_visit *visit, void *context)
{
    struct multipath_entry *entry, *next;
    HASH_ITER(hh, all->table, entry, next)
    {
        visit(context, &entry->socket);
    }
}
