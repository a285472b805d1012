/* SPDX-License-Identifier: MIT */
/*
 * The processes that registered, and their rings.
 *
 * A process passes its ring and a sock_diag socket of its network namespace, and hangs up. Its
 * children share the ring, so it is read on after the process's end; when no record came for a
 * while and none of its connections is left, the ring is let go, and told so, and a child that
 * still lives registers anew with its next connection.
 */
#ifndef SOCKTUNE_HELPER_REGISTRY_H
#define SOCKTUNE_HELPER_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct helper;
struct client_table;

/* What can be lost or refused, each counted. */
enum drop {
    DROP_RING_FULL,    /* by the programs: the ring was full */
    DROP_ABANDONED,    /* slots reserved by a writer that died before it filled them */
    DROP_MALFORMED,    /* records that make no sense */
    DROP_FOREIGN,      /* records on sockets of another user */
    DROP_LIMIT,        /* records above the limit of connections */
    DROP_OVERRUN,      /* ends of connections that the kernel could not deliver */
    DROP_REGISTRATION, /* registrations refused */
    DROP_HANDOFF,      /* connections refused that were handed over */
    DROP_COUNT
};

/* "ring_full", for JSON and labels. */
const char *drop_name(enum drop drop);

/* Read only for others. Valid until control returns to the loop. */
struct client {
    pid_t pid;
    uid_t uid;
    const char *program;
    const char *const *rules;
    size_t rule_count;
    uint64_t registered; /* CLOCK_REALTIME ns */
    uint64_t records;    /* taken from the ring */
    uint64_t handed;     /* connections that it handed over, and that were read */
    uint64_t withheld;   /* connections that it could not hand over, by its own count */
    uint64_t dropped;    /* of DROP_RING_FULL, _ABANDONED, _MALFORMED, _FOREIGN, _LIMIT */
    bool ended;          /* the process is gone or has registered anew; its children may go on */
};

/* Registered processes one after the other: begin with *cursor 0. NULL: the end. */
const struct client *client_table_next(const struct client_table *registry, uint64_t *cursor);

size_t client_table_count(const struct client_table *registry);

#endif
