/* SPDX-License-Identifier: MIT */
/*
 * The messages that a program sends to the helper. Each goes over its own SOCK_SEQPACKET Unix
 * socket, which is closed afterwards. There is no answer. The first eight bytes identify the
 * message.
 *
 * Registration: afterwards the program closes everything but its mapping of the ring.
 *
 *   struct registration | program NUL | rule NUL trial NUL | rule NUL trial NUL | ...
 *
 * `trial` is the definition of the trial to which the rule belongs as an arm (config/trial_text.h),
 * or REGISTRATION_NO_TRIAL. A program without trials sends version 2, which has only the names.
 *
 * A program that takes new rules while it runs (published.h) sends version 4:
 *
 *   struct registration | struct registration_live |
 *   program NUL | executable NUL | rules NUL | rule NUL trial NUL | rule NUL trial NUL | ...
 *
 * `executable` is the name of the program's file without its directory, or REGISTRATION_UNKNOWN;
 * `rules` is the absolute path of its rules. The memory is longer than `ring_size`: a struct
 * published begins at `published`. A helper that does not know this version refuses it; after two
 * tries the program registers by version 3, without that memory.
 *
 * Each registration has one or two descriptors (SCM_RIGHTS), in this order:
 *
 *   [0] the ring: a memfd of `ring_size` bytes (version 4: registration_memory()), sealed with
 *       F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL
 *   [1] a NETLINK_SOCK_DIAG socket of the program's network namespace, unused, and preferably bound
 *       to REGISTRATION_GROUPS, so that no end is missed before the helper reads it; absent if the
 *       program could not create one (version 1 requires it)
 *
 * A process may register again (preload/report.c says when). Then records come from both rings;
 * from the older one only those that were being written.
 *
 * Handing over a connection (handoff = "socket"): the record, which is also in the ring, with
 * exactly one descriptor, that of the connection itself.
 *
 *   struct handoff
 */
#ifndef SOCKTUNE_REGISTRATION_H
#define SOCKTUNE_REGISTRATION_H

#include "published.h"
#include "ring.h"

#include <stdint.h>

#define REGISTRATION_MAGIC       "STREGIST"
#define REGISTRATION_VERSION     2u
#define REGISTRATION_WITH_TRIALS 3u     /* version with trials */
#define REGISTRATION_LIVE        4u     /* version of a program that takes new rules */
#define REGISTRATION_SIZE_MAX    16384u /* bytes of the message */
#define REGISTRATION_RULES_MAX   256u
#define REGISTRATION_NO_TRIAL    "-"
#define REGISTRATION_UNKNOWN     "?"
#define REGISTRATION_DESCRIPTORS 2 /* at most */
/* Groups 1 << (SKNLGRP_INET_TCP_DESTROY - 1) and the same for SKNLGRP_INET6_TCP_DESTROY
 * (linux/sock_diag.h), for nl_groups of struct sockaddr_nl. */
#define REGISTRATION_GROUPS (1u << 0 | 1u << 2)
#define HANDOFF_MAGIC       "STHANDOF"
#define HANDOFF_VERSION     1u

struct registration {
    char magic[8];
    uint32_t version;
    uint32_t size; /* of the message, including this struct */
    uint32_t pid;  /* in the program's pid namespace; SO_PEERCRED has it in the helper's */
    uint32_t ring_size;
    uint32_t rule_count; /* names after the program's: record.rule is an index into them */
    uint32_t reserved;   /* 0 */
};
_Static_assert(sizeof(struct registration) == 32, "the same on every architecture");

struct registration_live {
    uint64_t device; /* st_dev of the file or directory of the rules */
    uint64_t inode;
    uint64_t policy;    /* the checksum in the header of the policy in force */
    uint32_t published; /* byte offset of struct published in the memory: PUBLISHED_AT */
    uint32_t room;      /* maximum bytes of a policy: PUBLISHED_ROOM */
};
_Static_assert(sizeof(struct registration_live) == 32, "the same on every architecture");

/* After the ring, aligned to the largest page size. */
#define PUBLISHED_AT(ring_size) (((size_t)(ring_size) + 65535) & ~(size_t)65535)

/* Returns the size of a memory with a ring of `ring_size` bytes and room for a policy of `room`
 * bytes. */
static inline size_t registration_memory(size_t ring_size, uint32_t room)
{
    return room == 0 ? ring_size : PUBLISHED_AT(ring_size) + PUBLISHED_SIZE(room);
}

struct handoff {
    char magic[8];
    uint32_t version;
    uint32_t size; /* of the message */
    uint64_t ring; /* `id` of the ring to which the process writes */
    struct record record;
};
_Static_assert(sizeof(struct handoff) == 256, "the same on every architecture");

#endif
