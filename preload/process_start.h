/* SPDX-License-Identifier: MIT */
/*
 * How the process was started: its arguments, its environment, and what the environment asks of
 * this library. Only for the constructor.
 */
#ifndef SOCKTUNE_PROCESS_START_H
#define SOCKTUNE_PROCESS_START_H

#include "policy_place.h"

#include <linux/limits.h>

struct process_start {
    const char *const *argv; /* NULL-terminated */
    char *const *environment;
    const char *argv_copy[2]; /* argv if only its first string is known */
};

/* Find arguments and environment. The parameters are those of the constructor: glibc passes them,
 * musl leaves whatever is in the registers. */
void process_start_find(struct process_start *start, int argc, char **argv, char **environment);

/* What the environment asks for. */
struct settings {
    struct policy_owner owner;
    const char *rules;      /* SOCKTUNE_RULES */
    const char *trace;      /* SOCKTUNE_TRACE */
    const char *helper;     /* SOCKTUNE_HELPER */
    const char *runtime;    /* XDG_RUNTIME_DIR */
    const char *journal;    /* JOURNAL_STREAM */
    const char *cache_home; /* the entry "XDG_CACHE_HOME=...", for the compiler */
    const char *home;       /* the entry "HOME=..." */
    int handed_over; /* descriptors below this number were handed over on purpose (handed_over.h); 0
                        under AT_SECURE: none is used */
    bool disable;    /* SOCKTUNE_DISABLE */
    bool live;       /* SOCKTUNE_LIVE */
    bool strict;     /* SOCKTUNE_STRICT */
    bool secure;     /* AT_SECURE: has privileges that its caller lacks */
};

/* The process's path in the cgroup v2 hierarchy, read from /proc/self/cgroup into `buffer`. NULL if
 * it cannot be read. */
const char *process_start_cgroup(char *buffer, size_t size);

/*
 * Read the settings. Under AT_SECURE all are ignored, and SOCKTUNE_* variables are removed from the
 * environment, as libc removes its own dangerous variables: a program executed later may not be
 * under AT_SECURE any more, and would obey the caller.
 */
struct settings process_start_settings(const struct process_start *start);

#endif
