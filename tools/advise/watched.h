/* SPDX-License-Identifier: MIT */
/*
 * The watched processes, and the owners of sockets by the inodes in /proc/PID/fd. Processes that
 * start later, and children of the named ones, are found by repeated scans.
 */
#ifndef SOCKTUNE_ADVISE_WATCHED_H
#define SOCKTUNE_ADVISE_WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

/* What to watch: processes and their descendants, programs that match a glob, or all. */
struct advise_selection {
    const pid_t *pids;
    size_t count;
    const char *glob; /* NULL: none */
    bool all;
};

struct advise_process {
    pid_t pid;
    char *program;    /* owned; basename of the executable, or the process's name */
    char *script;     /* owned; basename of the script that an interpreter runs; NULL: none */
    bool cut;         /* `program` may be the beginning of a longer name */
    uint64_t network; /* inode of its network namespace; 0: unknown */
    int refused;      /* errno of reading its descriptors; 0: they can be read */
    bool seen;        /* in the current scan */
    bool ended;
    struct advise_process *next; /* list of all processes ever found */
    UT_hash_handle handle;
};

struct advise_inode {
    uint64_t inode;
    struct advise_process *process;
    unsigned scan;
    UT_hash_handle handle;
};

/* Initially {.selection = ...}; release with watched_free(). */
struct advise_watched {
    struct advise_selection selection;
    struct advise_process *first; /* all, including ended ones: sockets refer to them */
    struct advise_process *by_pid;
    struct advise_inode *by_inode;
    unsigned scans;
};

/* Scan /proc again. Returns 0, or -1 with errno if /proc cannot be read or there is no memory. */
int watched_scan(struct advise_watched *watched);

/* Returns the process that owns the socket, or NULL. */
struct advise_process *watched_owner(const struct advise_watched *watched, uint64_t inode);

/* Returns the number of processes that have not ended. */
size_t watched_running(const struct advise_watched *watched);

/* Returns the basename of the script that an interpreter runs: its first argument that is no
 * option, as in the criterion `script`. NULL if there is no script. Points into `argv`. Pure. */
const char *watched_script(const char *program, char *const *argv);

void watched_free(struct advise_watched *watched);

#endif
