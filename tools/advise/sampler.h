/* SPDX-License-Identifier: MIT */
/*
 * Watching: dumps of sock_diag at a steady rate, joined with the watched processes, and the last
 * figures of connections that end between two dumps. Read-only. One thread.
 */
#ifndef SOCKTUNE_ADVISE_SAMPLER_H
#define SOCKTUNE_ADVISE_SAMPLER_H

#include "default_sockets.h"
#include "groups.h"
#include "sysctls.h"
#include "watched.h"

struct advise_sampler;
struct advise_socket;

/* The progress of a sampler. */
struct advise_progress {
    double elapsed, seconds; /* so far, and in total */
    double interval;         /* actual seconds between two looks */
    uint32_t looks;
    size_t sockets, processes;
    uint32_t crowded;   /* sockets not watched because there were too many */
    uint32_t elsewhere; /* processes in network namespaces that we may not enter; if `reported`,
                           connections of ended processes whose script is unknown */
    uint32_t missed;    /* lost messages about ended connections */
};

/* What to watch, and how. */
struct advise_watch {
    struct advise_watched watched;
    double seconds;
    double idle_least;
    struct advise_sysctls sysctls;
    bool reported;                   /* the evidence comes from the helper; nothing is watched */
    const volatile int *interrupted; /* not 0: stop sampling */
    void (*tell)(void *context, const struct advise_progress *progress); /* after each look */
    void *context;
    struct advise_progress progress;
    struct advise_groups groups; /* the result */
};

/* Watch. Returns 0, or -1 with errno. The caller must free the groups in either case. */
int sampler_run(struct advise_watch *watch);

#endif
