/* SPDX-License-Identifier: MIT */
/*
 * A table by ends. Listeners may share theirs, and are told apart by their cookies, which are
 * their own.
 */
#include "multipath.h"

#include <stdlib.h>
#include <string.h>
#define HASH_NONFATAL_OOM         1
#define uthash_nonfatal_oom(item) ((item)->socket.cookie = 0)
#include <uthash.h>

#define MADE_UP (UINT64_C(1) << 63) /* cookies count up from 1 */

struct ends {
    uint8_t local[16];
    uint8_t remote[16];
    uint64_t listener; /* its cookie; 0: a connection */
    uint32_t local_port;
    uint32_t remote_port;
};

struct entry {
    UT_hash_handle hh;
    struct ends ends;
    struct multipath_socket socket;
};

struct multipath {
    struct entry *table;
};

uint64_t multipath_identity(const struct connection_start *start)
{
    uint64_t words[6] = {start->opened, (uint64_t)start->local_port << 16 | start->remote_port};
    uint64_t sum = 0;

    memcpy(words + 2, start->local, sizeof start->local);
    memcpy(words + 4, start->remote, sizeof start->remote);
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
    struct entry *entry, *next;

    if (!all)
        return;
    entry = all->table;
    HASH_CLEAR(hh, all->table);
    for (; entry; entry = next) {
        next = entry->hh.next;
        free(entry);
    }
    free(all);
}

static struct ends ends_of(const uint8_t local[16], const uint8_t remote[16], uint16_t local_port,
                           uint16_t remote_port, uint64_t cookie)
{
    struct ends ends = {.local_port = local_port, .remote_port = remote_port};

    memcpy(ends.local, local, sizeof ends.local);
    if (remote_port == 0)
        ends.listener = cookie;
    else
        memcpy(ends.remote, remote, sizeof ends.remote);
    return ends;
}

static struct entry *find(const struct multipath *all, const struct ends *ends)
{
    struct entry *entry;

    HASH_FIND(hh, all->table, ends, sizeof *ends, entry);
    return entry;
}

void multipath_add(struct multipath *all, const struct connection *connection)
{
    struct entry *entry = calloc(1, sizeof *entry);

    if (!entry)
        return;
    entry->ends = ends_of(connection->local, connection->remote, connection->local_port,
                          connection->remote_port, connection->cookie);
    entry->socket.cookie = connection->cookie;
    HASH_ADD(hh, all->table, ends, sizeof entry->ends, entry);
    if (entry->socket.cookie == 0)
        free(entry);
}

void multipath_remove(struct multipath *all, const struct connection *connection)
{
    struct ends ends = ends_of(connection->local, connection->remote, connection->local_port,
                               connection->remote_port, connection->cookie);
    struct entry *entry = find(all, &ends);

    if (!entry || entry->socket.cookie != connection->cookie)
        return;
    HASH_DEL(all->table, entry);
    free(entry);
}

struct multipath_socket *multipath_find(struct multipath *all, const struct diag_target *target)
{
    struct ends ends = ends_of(target->local, target->remote, target->local_port,
                               target->remote_port, target->cookie);
    struct entry *entry = find(all, &ends);

    return entry ? &entry->socket : NULL;
}

void multipath_each(struct multipath *all, multipath_visit *visit, void *context)
{
    struct entry *entry, *next;

    HASH_ITER(hh, all->table, entry, next)
    {
        visit(context, &entry->socket);
    }
}
