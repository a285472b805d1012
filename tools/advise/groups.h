/* SPDX-License-Identifier: MIT */
/*
 * From sockets to advice: the sockets of one program, script, role and port form a group, and get
 * one piece of advice for each verdict, whatever their number.
 */
#ifndef SOCKTUNE_ADVISE_GROUPS_H
#define SOCKTUNE_ADVISE_GROUPS_H

#include "flow.h"
#include "verdicts.h"
#include "watched.h"

/* What the sockets with one verdict have in common. */
struct advise_cell {
    uint32_t sockets;
    double figure; /* the worst figure */
    uint32_t samples;
    double seconds;            /* the longest time that one of them was watched */
    uint32_t locked, unlocked; /* sockets whose buffer was, or was not, sized by the program */
    uint32_t receive_buffer, send_buffer; /* the largest */
    uint32_t queue_limit;
};

/* Similar sockets. */
struct advise_group {
    char *key;                            /* owned; the common properties, equal in each run */
    const struct advise_process *process; /* one of the processes */
    unsigned role;                        /* enum role_bit */
    uint16_t port; /* remote of connecting sockets, local of others; 0: any */
    uint32_t sockets, ended;
    /* The remote addresses of connecting sockets: the first one, and the number of bits that all
     * share. */
    uint8_t remote[16];
    unsigned remote_bits;
    struct advise_evidence short_lived; /* of sockets that ended without any verdict */
    struct advise_cell cells[VERDICT_COUNT];
    UT_hash_handle handle;
};

/* Initially {0}; release with groups_free(). */
struct advise_groups {
    struct advise_group *by_key;
    unsigned skipped; /* bits of verdicts that this evidence cannot support: they are skipped */
    double lacking; /* shortest time in seconds after which a verdict would be possible; 0: none */
};

/* A socket to be judged: at the end of the watch, or when it ends. */
struct advise_subject {
    const struct advise_process *process;
    const struct flow *flow;
    unsigned role;
    bool ended;
    struct advise_view view;
};

/* Judge a socket and count it. Returns 0, or -1 if there is no memory. */
int groups_add(struct advise_groups *groups, const struct advise_subject *subject);

/* Judge the sums of the short connections of each group. Call it once, at the end. */
void groups_finish(struct advise_groups *groups, double idle_least);

void groups_free(struct advise_groups *groups);

/* A piece of advice. */
struct advise_finding {
    enum advise_verdict_id verdict;
    const struct advise_group *group;
    struct advise_cell cell;
    uint32_t of;    /* number of sockets in the group or groups */
    uint16_t port;  /* 0: several */
    bool scattered; /* summarises groups of several ports */
    char id[32];    /* "nagle-1f2e3d4c": equal in each run */
};

/* Returns all findings, ordered by program and verdict. Groups that differ only in the port become
 * one finding if there are many. malloc()ed; NULL with errno, or if there are none. */
struct advise_finding *groups_findings(const struct advise_groups *groups, size_t *count);

#endif
