/* SPDX-License-Identifier: MIT */
/*
 * From sockets to advice: sockets of one program, script, role and port are alike and get one piece
 * of advice for each verdict, however many they are.
 */
#ifndef SOCKTUNE_ADVISE_GROUPS_H
#define SOCKTUNE_ADVISE_GROUPS_H

#include "flow.h"
#include "verdicts.h"
#include "watched.h"

/* What the sockets with one verdict have in common. */
struct advise_cell {
    uint32_t sockets;
    double figure; /* the worst of them */
    uint32_t samples;
    double seconds;                       /* the longest time that one was watched */
    uint32_t locked, unlocked;            /* is the buffer in question sized by the program? */
    uint32_t receive_buffer, send_buffer; /* the largest */
    uint32_t queue_limit;
};

/* Sockets that are alike. */
struct advise_group {
    char *key;                            /* owned; the properties in common, stable over runs */
    const struct advise_process *process; /* one of those */
    unsigned role;                        /* enum role_bit */
    uint16_t port; /* remote of connecting sockets, local of others; 0: any */
    uint32_t sockets, ended;
    /* The remote addresses of connecting sockets: the first, and how many bits all share. */
    uint8_t remote[16];
    unsigned remote_bits;
    struct advise_evidence short_lived; /* of those that ended before anything was clear */
    struct advise_cell cells[VERDICT_COUNT];
    UT_hash_handle handle;
};

/* Begins as {0}; release with groups_free(). */
struct advise_groups {
    struct advise_group *by_key;
    unsigned untold; /* bits of verdicts that this evidence does not tell: they are not asked */
    double lacking;  /* the shortest time after which a verdict would be possible; 0: none */
};

/* A socket that is judged: at the end of the watch, or when it ends. */
struct advise_subject {
    const struct advise_process *process;
    const struct flow *flow;
    unsigned role;
    bool ended;
    struct advise_view view;
};

/* Judge a socket and count it. Returns 0, or -1 when memory ends. */
int groups_add(struct advise_groups *groups, const struct advise_subject *subject);

/* Judge what the short connections of each group come to, once, at the end. */
void groups_finish(struct advise_groups *groups, double idle_least);

void groups_free(struct advise_groups *groups);

/* A piece of advice. */
struct advise_finding {
    enum advise_verdict_id verdict;
    const struct advise_group *group;
    struct advise_cell cell;
    uint32_t of;    /* sockets of the group or groups */
    uint16_t port;  /* 0: several */
    bool scattered; /* summarises groups of several ports */
    char id[32];    /* "nagle-1f2e3d4c": the same from run to run */
};

/* All findings, ordered by program and verdict; groups that differ in the port alone become one
 * where they are many. malloc()ed; NULL with errno, or when there are none. */
struct advise_finding *groups_findings(const struct advise_groups *groups, size_t *count);

#endif
