/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: the table has the sockets that a call was notified of, and those that were
 * found because they belong to a listener among them. A socket is reported once the kernel shows
 * that the call succeeded: a dump finds it, or it is destroyed after it has been connected.
 *
 * A connect() that fails at once is not reported: its socket is in no dump, and has acknowledged
 * nothing when it is destroyed.
 */
#include "reported_sockets.h"
#include "tcp_info.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* SYN retries end before that (tcp_syn_retries of ip-sysctl). */
#define GIVE_UP_NS (300 * UINT64_C(1000000000))

static struct socket_entry *find_entry(const struct reported_sockets *table, uint64_t cookie)
{
    struct socket_entry *entry;
    HASH_FIND(hh, table->sockets, &cookie, sizeof cookie, entry);
    return entry;
}

static void remove_entry(struct reported_sockets *table, struct socket_entry *entry)
{
    table->expected -= !entry->reported;
    if (entry->kind == RECORD_LISTEN)
        DL_DELETE(table->listeners, entry);
    HASH_DEL(table->sockets, entry); /* NOLINT(clang-analyzer-unix.Malloc): it is in the table */
    free(entry);
}

struct socket_entry *reported_sockets_add(struct reported_sockets *table,
                                          const struct socket_entry *like)
{
    struct socket_entry *entry = find_entry(table, like->cookie);
    if (entry != NULL)
        remove_entry(table, entry);
    entry = malloc(sizeof *entry);
    if (entry == NULL)
        return NULL;
    *entry = *like;
    entry->dump = table->dumps + 1; /* one that is under way may have passed it already */
    HASH_ADD(hh, table->sockets, cookie, sizeof entry->cookie, entry);
    if (entry->kind == RECORD_LISTEN)
        DL_APPEND(table->listeners, entry);
    table->expected++;
    return entry;
}

bool reported_sockets_has(const struct reported_sockets *table, uint64_t cookie)
{
    const struct socket_entry *entry = find_entry(table, cookie);
    return entry != NULL && entry->reported;
}

/* Records */

static void take_ends(struct socket_entry *entry, const struct sock_diag_target *target)
{
    struct sockinfo *sockinfo = &entry->sockinfo;
    memcpy(sockinfo->local.bytes, target->flow.local, sizeof sockinfo->local.bytes);
    sockinfo->local_port = target->flow.local_port;
    sockinfo->known |= FACT_LOCAL;
    sockinfo->unavailable &= (uint8_t)~FACT_LOCAL;
    if (entry->kind != RECORD_ACCEPT)
        return;
    memcpy(sockinfo->remote.bytes, target->flow.remote, sizeof sockinfo->remote.bytes);
    sockinfo->remote_port = target->flow.remote_port;
    sockinfo->known |= FACT_REMOTE;
}

static void report_entry(struct reported_sockets *table, struct socket_entry *entry)
{
    entry->reported = true;
    table->expected--;
    table->put(entry);
}

static void report_with_ends(struct reported_sockets *table, struct socket_entry *entry,
                             const struct sock_diag_target *target)
{
    take_ends(entry, target);
    report_entry(table, entry);
}

/* Accepted sockets */

static bool listener_accepts(const struct socket_entry *listener,
                             const struct sock_diag_answer *answer)
{
    const struct sockinfo *sockinfo = &listener->sockinfo;
    if (listener->kind != RECORD_LISTEN || sockinfo->local_port != answer->target.flow.local_port ||
        (listener->interface && listener->interface != answer->target.ifindex))
        return false;
    return (address_is_unspecified(&sockinfo->local) &&
            (sockinfo->families == FAMILY_INET6 || answer->target.flow.family == AF_INET)) ||
           memcmp(sockinfo->local.bytes, answer->target.flow.local,
                  sizeof answer->target.flow.local) == 0;
}

static struct socket_entry *listener_of(const struct reported_sockets *table,
                                        const struct sock_diag_answer *answer)
{
    struct socket_entry *listener = table->listeners;
    while (listener != NULL && !listener_accepts(listener, answer))
        listener = listener->next;
    return listener;
}

/* A connection that no call was notified of: did a listener accept it? */
static struct socket_entry *add_accepted(struct reported_sockets *table,
                                         const struct sock_diag_answer *answer)
{
    struct socket_entry *listener = listener_of(table, answer);
    struct socket_entry entry = {.kind = RECORD_ACCEPT};
    if (listener == NULL || !answer->target.flow.remote_port)
        return NULL;
    /* The listener may be gone before a dump finds it; the accepted socket proves that it was. */
    if (!listener->reported)
        report_entry(table, listener);
    entry.cookie = answer->target.cookie;
    entry.netns = listener->netns;
    entry.when = table->clock();
    entry.reporter = listener->reporter;
    entry.pid = listener->pid;
    entry.interface = answer->target.ifindex;
    sockinfo_at_accept(&entry.sockinfo);
    sockinfo_learn_type(&entry.sockinfo, PHASE_ACCEPT, answer->target.flow.family, SOCK_STREAM,
                        IPPROTO_TCP);
    return reported_sockets_add(table, &entry);
}

/* Events */

/* The SYN of a connecting socket is acknowledged like data. */
static bool was_connected(const struct sock_diag_answer *answer)
{
    struct tcp_info_bytes info = {.length = 0};
    uint64_t acked;
    if (answer->info == NULL)
        return false;
    info.length = answer->info_length < sizeof info.bytes ? answer->info_length : sizeof info.bytes;
    memcpy(info.bytes, answer->info, info.length);
    return tcp_info_get(tcp_info_find("bytes_acked"), &info, &acked) == TCP_INFO_VALUE && acked > 0;
}

/* A program that ends closes its listener first. The entry stays, so that sockets that it accepted
 * are recognised, until a dump that began later has found those that live. */
static void close_listener(struct reported_sockets *table, struct socket_entry *listener)
{
    table->expected -= !listener->reported;
    listener->reported = true;
    listener->dump = table->dumps;
}

static void take_destroyed(struct reported_sockets *table, const struct sock_diag_answer *answer)
{
    struct socket_entry *entry = find_entry(table, answer->target.cookie);
    if (entry == NULL)
        entry = add_accepted(table, answer);
    if (entry != NULL && !entry->reported &&
        (entry->kind == RECORD_ACCEPT || (entry->kind == RECORD_CONNECT && was_connected(answer))))
        report_with_ends(table, entry, &answer->target);
    if (entry != NULL && entry->kind == RECORD_LISTEN)
        close_listener(table, entry);
    else if (entry != NULL)
        remove_entry(table, entry);
}

static void take_found(struct reported_sockets *table, const struct sock_diag_answer *answer)
{
    struct socket_entry *entry = find_entry(table, answer->target.cookie);
    /* A socket that no process has open is in the accept queue, or is about to be destroyed. */
    if (!answer->owned && !table->finishing)
        return;
    if (entry == NULL && answer->state != TCP_LISTEN)
        entry = add_accepted(table, answer);
    if (entry == NULL)
        return;
    entry->dump = table->dumps;
    if (!entry->reported && (entry->kind == RECORD_LISTEN) == (answer->state == TCP_LISTEN))
        report_with_ends(table, entry, &answer->target);
}

void reported_sockets_take(void *context, const struct sock_diag_answer *answer)
{
    struct reported_sockets *table = context;
    if (answer->event == SOCK_DIAG_DESTROYED)
        take_destroyed(table, answer);
    else
        take_found(table, answer);
}

/* What a whole dump has not found is gone and its message was lost, or its call is still waiting.
 */
void reported_sockets_forget_lost(struct reported_sockets *table)
{
    struct socket_entry *next;
    uint64_t now = table->clock();
    for (struct socket_entry *entry = table->sockets; entry != NULL; entry = next) {
        next = entry->hh.next;
        if (entry->dump < table->dumps && (entry->reported || now - entry->when > GIVE_UP_NS))
            remove_entry(table, entry);
    }
}
