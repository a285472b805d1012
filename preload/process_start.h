/* SPDX-License-Identifier: MIT */
/*
 * The process as it was started: its arguments, its environment, and what the environment asks of
 * this library. For the constructor alone.
 */
#ifndef SOCKTUNE_PROCESS_START_H
#define SOCKTUNE_PROCESS_START_H

#include "policy_place.h"

#include <linux/limits.h>

struct process_start {
    const char *const *argv; /* NULL-terminated */
    char *const *environment;
    const char *argv_copy[2]; /* argv where only its first string can be found */
};

/* Find them. `argc`, `argv` and `environment` are the parameters of the constructor: glibc passes
 * them, musl leaves whatever is in the registers. */
void process_start_find(struct process_start *start, int argc, char **argv, char **environment);

/* What this process asks by its environment. */
struct settings {
    struct policy_owner owner;
    const char *rules;      /* SOCKTUNE_RULES */
    const char *trace;      /* SOCKTUNE_TRACE */
    const char *helper;     /* SOCKTUNE_HELPER */
    const char *runtime;    /* XDG_RUNTIME_DIR */
    const char *journal;    /* JOURNAL_STREAM */
    const char *cache_home; /* the entry "XDG_CACHE_HOME=...", for the compiler */
    const char *home;       /* the entry "HOME=..." */
    int handed_over;        /* the number behind the descriptors that are handed over on purpose
                               (handed_over.h); 0 under AT_SECURE: none is touched */
    bool disable;           /* SOCKTUNE_DISABLE */
    bool live;              /* SOCKTUNE_LIVE */
    bool strict;            /* SOCKTUNE_STRICT */
    bool secure;            /* AT_SECURE: runs with privileges that its caller has not */
};

/* The process's path in the cgroup v2 hierarchy, in `buffer`, from /proc/self/cgroup; NULL where it
 * cannot be read. */
const char *process_start_cgroup(char *buffer, size_t size);

/*
 * Read the settings. Under AT_SECURE none is taken, and SOCKTUNE_* are removed from the
 * environment, as libc removes its own dangerous variables: what the program executes may no longer
 * be under AT_SECURE, and would obey the caller.
 */
struct settings process_start_settings(const struct process_start *start);

#endif
